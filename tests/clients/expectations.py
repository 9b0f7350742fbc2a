"""What becomes of each feature, for every dialect in and every provider out."""

from collections.abc import Mapping
from typing import Literal

from tests.clients.features import FEATURES
from tests.clients.words import CHAT, MESSAGES, RESPONSES

Fate = Literal["passes", "translated", "left out", "refused", "none"]
Exceptions = Mapping[str | tuple[str, str], Fate]

PROVIDERS: Mapping[str, str] = {
    "openai": "OpenAI",
    "compatible": "Compatible",
    "azure": "Azure OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "bedrock": "Bedrock",
}
# Whose upstream speaks the caller's dialect, so that the bytes pass through.
SPEAKERS: Mapping[str, tuple[str, ...]] = {
    CHAT: ("openai", "compatible", "azure"),
    RESPONSES: ("openai", "azure"),
    MESSAGES: ("anthropic",),
}

# By feature and provider what is not translated, where the bytes do not pass through;
# with the caller's dialect where it depends on that.
EXCEPTIONS: Mapping[str, Exceptions] = {
    "audio": {"anthropic": "refused"},
    "hosted_tool": dict.fromkeys(PROVIDERS, "refused"),
    "any_json": {"anthropic": "left out", "bedrock": "left out"},
    "several_choices": dict.fromkeys(PROVIDERS, "refused"),
    "log_probabilities": {"anthropic": "left out", "bedrock": "left out"},
    "penalties": {"anthropic": "left out", "bedrock": "left out"},
    "seed": {"anthropic": "left out", "bedrock": "left out"},
    "verbosity": dict.fromkeys(("anthropic", "gemini", "bedrock"), "left out"),
    "end_user": {"gemini": "left out", "bedrock": "left out"},
    "top_k": dict.fromkeys(("openai", "compatible", "azure"), "left out"),
    "cache_control": dict.fromkeys(
        ("openai", "compatible", "azure", "gemini"), "left out"
    ),
    "one_call": {"gemini": "left out", "bedrock": "left out"},
    "remote_image": {"bedrock": "refused"},
    # Their models say it in plain words only.
    "refusal": {"gemini": "none", "bedrock": "none"},
    # Chat has no place for the signatures that a Claude wants to see again.
    "thinking_sent_back": {
        (CHAT, "anthropic"): "left out",
        (CHAT, "bedrock"): "left out",
    },
    "unknown_field": dict.fromkeys(PROVIDERS, "left out"),
}


def fate_of(feature: str, dialect: str, provider: str) -> Fate:
    """What becomes of a feature on one of the roads."""
    if provider in SPEAKERS[dialect]:
        return "passes"
    exceptions = EXCEPTIONS.get(feature, {})
    by_provider = exceptions.get(provider, "translated")
    return exceptions.get((dialect, provider), by_provider)


def cells() -> list[tuple[str, str, str]]:
    """Every feature that both a dialect and a provider know."""
    return [
        (feature.name, dialect, provider)
        for feature in FEATURES.values()
        for dialect in feature.dialects
        for provider in PROVIDERS
        if fate_of(feature.name, dialect, provider) != "none"
    ]

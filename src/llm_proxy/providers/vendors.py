"""Whose a model is, as far as its name tells."""

import re
from collections.abc import Mapping

# Names of a family begin alike, so a model that is newer than this table is found too.
# Bedrock stands first, because its names begin with those of the vendors. Open weights
# that many serve belong to no family: the price catalogue says who has them.
_FAMILIES: Mapping[str, str] = {
    "bedrock": (
        r"arn:aws|([a-z-]{2,8}\.)?(ai21|amazon|anthropic|cohere|deepseek|google|luma"
        r"|meta|minimax|mistral|moonshot(ai)?|nvidia|openai|qwen|stability|twelvelabs"
        r"|writer|zai)\."
    ),
    "openai": (
        r"(chat)?gpt-(?!oss)|o\d\b|text-embedding-(\d-|ada-)|(omni|text)-moderation-"
        r"|whisper-1$|tts-1|dall-e-|sora-|codex-|computer-use-"
        r"|(text-)?(babbage|davinci)-"
    ),
    "anthropic": r"claude-",
    "gemini": r"(models/)?(gemini-|imagen-|veo-|text-embedding-0)",
    "mistral": (
        r"(labs-|open-)?((mi|code|dev|magi|mini)stral|mixtral|pixtral|voxtral)-"
    ),
    "deepseek": r"deepseek-(?!r1-distill)",
    "xai": r"grok-",
    "cohere": r"command(-|$)|embed-(english|multilingual|v\d)|rerank-|c4ai-",
    "perplexity": r"sonar(-|$)|pplx-",
    "moonshot": r"kimi-|moonshot-",
    "zai": r"glm-",
    "minimax": r"minimax-",
    "dashscope": r"qwen|qwq-|qvq-|text-embedding-v\d",
}
_PATTERNS = {
    provider: re.compile(pattern, re.IGNORECASE)
    for provider, pattern in _FAMILIES.items()
}
# OpenAI and Mistral put this before the names of models that customers have trained.
_FINE_TUNED = "ft:"


def find_vendor(model: str) -> str | None:
    """Tell whose family a model is of.

    Args:
        model: The vendor's name of the model, like ``gpt-4o`` or ``ft:gpt-4o:org::id``.

    Returns:
        The provider's name; None if the name tells nothing.
    """
    family = model.removeprefix(_FINE_TUNED)
    matches = (name for name, each in _PATTERNS.items() if each.match(family))
    return next(matches, None)

"""Questions, and calls that were answered, for tests of the cache."""

from dataclasses import dataclass
from typing import Any

from llm_proxy.cache import Entry, Question
from llm_proxy.types import ChatRequest, FinishReason, Usage, said

USAGE = Usage(3, 4, 1, 1, 2, "provider")


@dataclass(frozen=True)
class Answered:
    """The account of a call."""

    target: tuple[str, str] = ("openai", "gpt-4")
    model: str | None = "gpt-4-0613"
    usage: Usage = USAGE
    finish_reason: FinishReason | None = "stop"
    nanos: int = 0


def entry(body: bytes = b"Paris", stored_at: float = 1e9, **changes: Any) -> Entry:
    account = Answered()
    facts = {
        "provider": "openai",
        "model": "gpt-4",
        "answered_model": account.model,
        "finish_reason": "stop",
        "usage": account.usage,
        "stored_at": stored_at,
        "body": body,
    }
    return Entry(**(facts | changes))


def question(prompt: str = "Capital of France?", **changes: Any) -> Question:
    """What somebody asks on `/chat`."""
    facts = {
        "surface": "chat",
        "feature": "chat",
        "asked": ChatRequest((said("user", prompt),)),
        "targets": ("openai/gpt-4",),
    }
    return Question(**(facts | changes))


def v1_question(feature: str = "v1.openai_chat", **fields: Any) -> Question:
    """What a program asks on `/v1`."""
    return Question("openai", feature, fields, ("openai/gpt-4",))

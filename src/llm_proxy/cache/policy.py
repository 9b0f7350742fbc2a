"""Which answers are kept, and for how long."""

from dataclasses import dataclass
from typing import Literal

from llm_proxy.cache.question import Question
from llm_proxy.types import ChatRequest, FinishReason, SurfaceName

# The rules of `smart` are those of the documentation: an answer is kept if it has cost
# more than 0.01 US dollars, or if it was asked for more than 5 times.
_EXPENSIVE_NANOS = 10_000_000
_COMMON_TIMES = 5
# For how many seconds, by how many times more than these.
_SMART_TTLS = ((100, 86400.0), (10, 3600.0))
_SMART_TTL = 600.0

_WHOLE: frozenset[FinishReason | None] = frozenset(("stop", "length"))
# Fields of requests on `/v1` with which an answer does something, or depends on more
# than the question: tools, and what the provider keeps, looks up or makes later.
_DEEDS = frozenset(
    (
        "audio",
        "background",
        "container",
        "conversation",
        "function_call",
        "functions",
        "mcp_servers",
        "plugins",
        "previous_response_id",
        "search_parameters",
        "tools",
        "web_search_options",
    )
)
_RESPONSES = "v1.openai_responses"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which answers are kept, and for how long.

    Attributes:
        name: ``off``, ``all``, or ``smart``: what is expensive or often asked for.
        ttl_seconds: For how long ``all`` keeps an answer.
        surfaces: Whose answers are kept.
    """

    name: Literal["off", "all", "smart"]
    ttl_seconds: float = 3600.0
    surfaces: frozenset[SurfaceName] = frozenset(("chat", "webhook"))

    @property
    def counts(self) -> bool:
        """Whether it matters how often a question is asked."""
        return self.name == "smart"

    def covers(self, question: Question) -> bool:
        """Say whether an answer may be used for more than one call.

        Args:
            question: What is asked.

        Returns:
            False, whatever else is set, for questions with personal data and for those
            whose answer may do something, or is kept elsewhere.
        """
        return (
            self.name != "off"
            and question.surface in self.surfaces
            and not question.has_pii
            and not _does_something(question)
        )

    def keeps(self, nanos: int, times: int) -> bool:
        """Say whether an answer is worth its place.

        Args:
            nanos: What it has cost, in billionths of a US dollar.
            times: How often it was asked for, this time included.

        Returns:
            Whether it is kept.
        """
        if self.name != "smart":
            return True
        return nanos > _EXPENSIVE_NANOS or times > _COMMON_TIMES

    def ttl(self, times: int) -> float:
        """Say how long an answer is kept.

        Args:
            times: How often it was asked for.

        Returns:
            Seconds.
        """
        if self.name != "smart":
            return self.ttl_seconds
        return next((ttl for most, ttl in _SMART_TTLS if times > most), _SMART_TTL)


def is_whole(finish_reason: FinishReason | None) -> bool:
    """Say whether an answer is all that its question brings.

    Args:
        finish_reason: Why it ended.

    Returns:
        True also for one that the caller's own bound on its length has ended. False for
        one that a filter has cut short, which may not do so again; for calls of tools;
        and for what has not ended.
    """
    return finish_reason in _WHOLE


def _does_something(question: Question) -> bool:
    asked = question.asked
    if isinstance(asked, ChatRequest):
        return bool(asked.tools)
    if any(asked.get(name) for name in _DEEDS):
        return True
    if question.feature == _RESPONSES:
        # It is stored unless the caller says no; its `prompt` stands elsewhere.
        return asked.get("store") is not False or bool(asked.get("prompt"))
    return bool(asked.get("store"))

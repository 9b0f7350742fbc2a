"""The canonical form of an answer, complete or in pieces."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from llm_proxy.types.parts import Part, join_text

FinishReason = Literal["stop", "length", "content_filter", "refusal", "tool_calls"]
# How an answer ends that a provider's filter has cut short, or the model refused.
FILTERED: frozenset[str | None] = frozenset(("content_filter", "refusal"))
UsageSource = Literal["provider", "counted", "partial", "none"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call and where the figures came from.

    Attributes:
        input_tokens: All tokens of the prompt, cached ones included.
        output_tokens: All tokens of the answer, reasoning included.
        cached_tokens: The part of the input that the provider read from its cache.
        cache_write_tokens: The part of the input that it wrote to its cache.
        reasoning_tokens: The part of the output that is thoughts.
        source: Who counted: the ``provider``, or we, a whole answer (``counted``) or as
            much of one as was delivered (``partial``); ``none`` if nobody did.
        reported_cost: US dollars, where the upstream says what it charges.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: UsageSource = "none"
    reported_cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """The canonical form of a complete answer.

    Attributes:
        parts: `Text`, `Thinking` and `ToolCall`, in the order the model wrote them; no
            two texts are neighbours. A refusal is text, told by the `finish_reason`.
        model: The model that the upstream says has answered.
        finish_reason: Why the answer ended.
        usage: Tokens as the upstream reported them.
        stop_sequence: The stop text that ended the answer, where the upstream says so.
        logprobs: One object per token: ``token``, ``logprob``, ``bytes``,
            ``top_logprobs``, as in OpenAI's API; None if there are none.
    """

    parts: tuple[Part, ...]
    model: str
    finish_reason: FinishReason
    usage: Usage
    stop_sequence: str | None = None
    logprobs: tuple[Mapping[str, Any], ...] | None = None

    @property
    def text(self) -> str:
        """All its text together; empty if the model gave none."""
        return join_text(self.parts)


class ThinkingDelta(NamedTuple):
    """A piece of thoughts; a signature or an encrypted form ends them."""

    text: str = ""
    signature: str = ""
    encrypted: str = ""


class ToolCallDelta(NamedTuple):
    """A piece of a tool call.

    Attributes:
        call: Which of the answer's calls it belongs to, from 0.
        id: On the first piece of a call.
        name: On the first piece of a call.
        arguments: Text to append to the arguments.
        custom: As in `ToolCall`; on the first piece.
        signature: As in `ToolCall`; on any piece.
    """

    call: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    custom: bool = False
    signature: str = ""


class Chunk(NamedTuple):
    """One piece of a streamed answer; an empty field means "nothing new".

    A named tuple, because a stream makes hundreds of them and a tuple costs a third of
    a frozen dataclass.

    Attributes:
        text: Text to append to the answer.
        finish_reason: Set once, on the piece that ends the answer.
        usage: Set when the upstream reports tokens; later reports replace earlier.
        model: The model that the upstream says is answering.
        delta: A piece of something that is not text.
        stop_sequence: As in `ChatResponse`; with the finish reason.
        logprobs: Those of the tokens in `text`.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    delta: ThinkingDelta | ToolCallDelta | None = None
    stop_sequence: str | None = None
    logprobs: tuple[Mapping[str, Any], ...] | None = None

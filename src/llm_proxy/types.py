"""The frozen values that travel between the layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Role = Literal["user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter", "refusal", "tool_calls"]
UsageSource = Literal["provider", "none"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling.

    Attributes:
        name: The name the operator gave to the token; it appears in logs and limits.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as text."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The canonical form of a chat request; every dialect encodes from it.

    Attributes:
        messages: The turns, oldest first; the last one is the caller's.
        system: Instructions that stand above the conversation.
        max_tokens: The most tokens the answer may have; None leaves it to the provider.
        temperature: Sampling temperature, 0 to 2; None leaves it to the provider.
        response_schema: A JSON schema the answer should obey, where the provider can.
    """

    messages: tuple[Message, ...]
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    response_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call and where the figures came from.

    Attributes:
        input_tokens: All tokens of the prompt, cached ones included.
        output_tokens: All tokens of the answer, reasoning included.
        cached_tokens: The part of the input that the provider read from its cache.
        reasoning_tokens: The part of the output that the caller never sees.
        source: ``provider`` when the upstream reported them, else ``none``.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    source: UsageSource = "none"


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """The canonical form of a complete answer.

    Attributes:
        text: The answer, or the model's own words of refusal; empty if it gave none.
        model: The model that the upstream says has answered.
        finish_reason: Why the answer ended.
        usage: Tokens as the upstream reported them.
    """

    text: str
    model: str
    finish_reason: FinishReason
    usage: Usage


class Chunk(NamedTuple):
    """One piece of a streamed answer; an empty field means "nothing new".

    A named tuple, because a stream makes hundreds of them and a tuple costs a third of
    a frozen dataclass.

    Attributes:
        text: Text to append to the answer.
        finish_reason: Set once, on the piece that ends the answer.
        usage: Set when the upstream reports tokens; later reports replace earlier.
        model: The model that the upstream says is answering.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None

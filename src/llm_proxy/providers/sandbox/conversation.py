"""What the sandbox is asked and what it answers, free of any vendor's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["stop", "length", "content_filter", "tool_calls", "refusal"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the answer may call.

    Attributes:
        name: Its name.
        schema: The JSON schema of its arguments; None if it takes any text.
        namespace: The group of tools it belongs to, where a dialect has such groups.
    """

    name: str
    schema: Mapping[str, Any] | None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call.

    Attributes:
        name: The tool that was called.
        text: The text of the result.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something in a message that is not text.

    Attributes:
        kind: What it is.
        media_type: Its media type, such as ``image/png``; None if that cannot be told
            without fetching it.
        size: Bytes; None if it is elsewhere and only its address was sent.
    """

    kind: Literal["image", "document", "audio", "video"]
    media_type: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """A valid request.

    Attributes:
        model: The model it asks for.
        text: The last user message.
        input_tokens: Words in all messages.
        max_tokens: The most words the answer may have, thinking included.
        stream: Whether the answer comes as server-sent events.
        include_usage: Whether the stream reports usage, where the dialect lets choose.
        schema: The JSON schema the answer has to obey.
        body: The request as it was sent.
        tools: The tools the answer may call. One that is chosen by name stands alone,
            and `tool_choice` is then ``required``.
        tool_choice: Whether the answer may, must not or must call a tool.
        parallel_calls: Whether it may call several.
        tool_results: Results in the last turn; none if something else was said last.
        attachments: What the last user message carries besides text.
        thinking: Whether the answer is thought about first; ``omitted`` does so without
            telling.
        stop: Texts before which the answer ends.
        prefill: The beginning of the answer, which the answer goes on from.
        copies: How many answers are wanted.
        top_logprobs: How many alternatives to report for each token; None reports no
            log probabilities at all.
        cached_tokens: Those of `input_tokens` that a cache is asked to keep.
    """

    model: str
    text: str
    input_tokens: int
    max_tokens: int | None
    stream: bool
    include_usage: bool = True
    schema: Mapping[str, Any] | None = None
    body: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    parallel_calls: bool = True
    tool_results: tuple[ToolResult, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    thinking: Literal["off", "on", "omitted"] = "off"
    stop: tuple[str, ...] = ()
    prefill: str = ""
    copies: int = 1
    top_logprobs: int | None = None
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage as the sandbox reports it, true or not.

    Attributes:
        input: All tokens of the request, cached ones included.
        output: All tokens of the answer and of its copies, thinking included.
        cached: Those of `input` that came from a cache.
        thinking: Those of `output` that were thought and not said.
    """

    input: int
    output: int
    cached: int = 0
    thinking: int = 0


@dataclass(frozen=True, slots=True)
class Thinking:
    """What the model thinks before it answers.

    Attributes:
        pieces: The text, as a stream cuts it; none if it is not told.
        words: How many words were thought, told or not.
        signature: Proves in a later request that the sandbox has thought this.
        redacted: The text is encrypted: only the signature is sent.
        open: It is told even in a dialect that otherwise keeps it to itself.
    """

    pieces: tuple[str, ...]
    words: int
    signature: str
    redacted: bool = False
    open: bool = False

    @property
    def text(self) -> str:
        """All pieces together."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool.

    Attributes:
        id: The same for the same request, and another one for every call of an answer.
            Dialects put their prefix before it.
        name: The tool.
        pieces: The arguments, as a stream cuts them.
        custom: They are any text instead of JSON.
        namespace: The group of the tool.
    """

    id: str
    name: str
    pieces: tuple[str, ...]
    custom: bool = False
    namespace: str | None = None

    @property
    def arguments(self) -> str:
        """All pieces together: JSON, or any text if the tool is a custom one."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Attributes:
        id: The same for the same request.
        model: The model that answers.
        pieces: The text, as a stream cuts it; None where there is no text at all.
        ending: Why it ends; None if it never says.
        tokens: Usage; None if it is not reported.
        calls: The tools it calls, after the text.
        thinking: What it thinks before the text.
        stop_sequence: The text of the request's `Question.stop` that ended it.
        copies: How often it is given, where the dialect knows several choices.
        top_logprobs: How many alternatives to report for each piece; None reports no
            log probabilities at all.
    """

    id: str
    model: str
    pieces: tuple[str, ...] | None
    ending: Ending | None
    tokens: Tokens | None
    calls: tuple[Call, ...] = ()
    thinking: Thinking | None = None
    stop_sequence: str | None = None
    copies: int = 1
    top_logprobs: int | None = None

    @property
    def text(self) -> str | None:
        """All pieces together."""
        return None if self.pieces is None else "".join(self.pieces)

"""Makes one answer of the pieces of a stream."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    FinishReason,
    Part,
    Text,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from llm_proxy.wire.dialect import WireError


def gather(chunks: Iterable[Chunk]) -> ChatResponse:
    """Fold the chunks of a whole stream into the answer that they stream.

    Within one chunk thoughts come before the text and tool calls after it.

    Args:
        chunks: All chunks, oldest first.

    Returns:
        The answer; parts stand in the order in which their first pieces came.

    Raises:
        WireError: No chunk has a finish reason.
    """
    parts = PartGatherer()
    finish_reason: FinishReason | None = None
    usage, model, stop_sequence = Usage(), "", None
    logprobs: list[Mapping[str, Any]] | None = None
    for chunk in chunks:
        parts.add(chunk)
        finish_reason = chunk.finish_reason or finish_reason
        usage = chunk.usage or usage
        model = chunk.model or model
        stop_sequence = chunk.stop_sequence or stop_sequence
        if chunk.logprobs is not None:
            logprobs = [*(logprobs or ()), *chunk.logprobs]
    if finish_reason is None:
        raise WireError("the stream ended without a finish reason")
    return ChatResponse(
        parts=parts.all(),
        model=model,
        finish_reason=finish_reason,
        usage=usage,
        stop_sequence=stop_sequence,
        logprobs=None if logprobs is None else tuple(logprobs),
    )


class PartGatherer:
    """Puts the parts of one answer together, piece by piece."""

    def __init__(self) -> None:
        self._drafts: list[_TextDraft | _ThinkingDraft | _CallDraft] = []
        self._calls: dict[int, _CallDraft] = {}

    def add(self, chunk: Chunk) -> None:
        """Take the next piece.

        Args:
            chunk: What it says besides text and deltas is ignored.
        """
        delta = chunk.delta
        if isinstance(delta, ThinkingDelta):
            self._add_thinking(delta)
        if chunk.text:
            self._add_text(chunk.text)
        if isinstance(delta, ToolCallDelta):
            self._add_call(delta)

    def all(self) -> tuple[Part, ...]:
        """Close all parts.

        Returns:
            The parts, in the order in which they began.
        """
        return tuple([draft.part() for draft in self._drafts])

    def _add_text(self, text: str) -> None:
        draft = self._drafts[-1] if self._drafts else None
        if not isinstance(draft, _TextDraft):
            draft = _TextDraft()
            self._drafts.append(draft)
        draft.pieces.append(text)

    def _add_thinking(self, delta: ThinkingDelta) -> None:
        if not any(delta):
            return
        draft = self._drafts[-1] if self._drafts else None
        if not isinstance(draft, _ThinkingDraft) or draft.closed:
            draft = _ThinkingDraft()
            self._drafts.append(draft)
        draft.pieces.append(delta.text)
        draft.signature += delta.signature
        draft.encrypted += delta.encrypted
        draft.closed = bool(draft.signature or draft.encrypted)

    def _add_call(self, delta: ToolCallDelta) -> None:
        draft = self._calls.get(delta.call)
        if draft is None:
            draft = self._calls[delta.call] = _CallDraft(delta)
            self._drafts.append(draft)
        draft.pieces.append(delta.arguments)
        draft.signature = delta.signature or draft.signature


class _TextDraft:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    def part(self) -> Text:
        return Text("".join(self.pieces))


class _ThinkingDraft:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.signature = ""
        self.encrypted = ""
        self.closed = False

    def part(self) -> Thinking:
        return Thinking("".join(self.pieces), self.signature, self.encrypted)


class _CallDraft:
    def __init__(self, first: ToolCallDelta) -> None:
        self._first = first
        self.pieces: list[str] = []
        self.signature = ""

    def part(self) -> ToolCall:
        first = self._first
        arguments = "".join(self.pieces)
        return ToolCall(first.id, first.name, arguments, first.custom, self.signature)

"""A streamed message as chunks."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import Chunk, ThinkingDelta, ToolCallDelta
from llm_proxy.wire.anthropic_messages.answers import read_block, read_model
from llm_proxy.wire.anthropic_messages.stop_reasons import (
    read_stop_reason,
    read_stop_sequence,
)
from llm_proxy.wire.anthropic_messages.usage import UsageTally
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.reading import read_event, read_mapping, read_string
from llm_proxy.wire.sse import SSEDecoder
from llm_proxy.wire.stream import Stream

CONTENT_MARKS = (b'"delta"', b'"content_block', b'"message_')
_NO_THOUGHT = ThinkingDelta()
_DELTA_FIELDS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


def read_delta(event: Mapping[str, Any]) -> tuple[str, str]:
    """Read a piece of a content block.

    Args:
        event: A ``content_block_delta``.

    Returns:
        Of what type it is, and its text; empty if it has none that we know.

    Raises:
        WireError: It cannot be read.
    """
    delta = read_mapping(event, "delta")
    kind = read_string(delta, "type")
    return kind, read_string(delta, _DELTA_FIELDS.get(kind, ""))


class AnthropicStreamDecoder(Stream[Chunk]):
    """Turns the bytes of one streamed message into chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEDecoder()
        self._finished = False
        self._usage = UsageTally()
        self._calls: dict[int, _OpenCall] = {}
        self._next_call = 0

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        for _, payload in self._events.feed(data):
            event = read_event(payload, CONTENT_MARKS)
            if isinstance(event, dict):
                chunk = self._hear(event)
                if chunk is not None:
                    pieces.append(chunk)
                if self.done:
                    break

    def _end(self) -> list[Chunk]:
        if not self._finished:
            raise WireError("the stream ended without a stop reason")
        # Arguments of calls whose end the upstream did not tell.
        rests = [call.rest() for call in self._calls.values()]
        return [chunk for chunk in rests if chunk is not None]

    def _hear(self, event: dict[str, Any]) -> Chunk | None:
        match event.get("type"):
            case "content_block_delta":
                return self._read_delta(event)
            case "content_block_start":
                return self._start_block(event)
            case "content_block_stop":
                call = self._calls.pop(_index(event), None)
                return call.rest() if call else None
            case "message_start":
                message = _mapping(event.get("message"))
                usage = self._usage.add(message.get("usage"))
                return Chunk(model=read_model(message), usage=usage)
            case "message_delta":
                return self._read_ending(event)
            case "message_stop":
                self.done = True
            case "error":
                raise UpstreamFaultError(error_detail(event.get("error")))
        return None

    def _read_delta(self, event: dict[str, Any]) -> Chunk | None:
        kind, text = read_delta(event)
        if not text:
            return None
        if kind == "text_delta":
            return Chunk(text)
        if kind == "input_json_delta":
            call = self._calls.get(_index(event))
            return call.grow(text) if call else None
        thoughts = ThinkingDelta(text) if kind == "thinking_delta" else None
        return Chunk(delta=thoughts or ThinkingDelta("", text))

    def _start_block(self, event: dict[str, Any]) -> Chunk | None:
        chunk = read_block(event.get("content_block"), self._next_call)
        if chunk is None:
            return None
        delta = chunk.delta
        if isinstance(delta, ToolCallDelta):
            self._next_call += 1
            self._calls[_index(event)] = _OpenCall(delta)
            return Chunk(delta=delta._replace(arguments=""))
        return chunk if chunk.text or delta not in (None, _NO_THOUGHT) else None

    def _read_ending(self, event: dict[str, Any]) -> Chunk:
        delta = _mapping(event.get("delta"))
        finish_reason = read_stop_reason(delta.get("stop_reason"))
        self._finished = self._finished or finish_reason is not None
        return Chunk(
            finish_reason=finish_reason,
            usage=self._usage.add(event.get("usage")),
            stop_sequence=read_stop_sequence(delta.get("stop_sequence")),
        )


class _OpenCall:
    """A call whose arguments may come whole at the start, or in pieces."""

    def __init__(self, start: ToolCallDelta) -> None:
        self._call = start.call
        self._at_start = start.arguments

    def grow(self, arguments: str) -> Chunk:
        self._at_start = ""
        return Chunk(delta=ToolCallDelta(self._call, arguments=arguments))

    def rest(self) -> Chunk | None:
        if not self._at_start:
            return None
        return Chunk(delta=ToolCallDelta(self._call, arguments=self._at_start))


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

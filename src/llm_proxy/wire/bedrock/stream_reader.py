"""Reads streamed answers of Converse."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import Chunk, ThinkingDelta, ToolCallDelta
from llm_proxy.wire.bedrock.answers import HOSTED
from llm_proxy.wire.bedrock.errors import error_detail, read_exception
from llm_proxy.wire.bedrock.eventstream import FrameDecoder
from llm_proxy.wire.bedrock.finish import read_finish
from llm_proxy.wire.bedrock.usage import read_usage
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.reading import read_mapping, read_object, read_string
from llm_proxy.wire.stream import Stream


class ConverseStreamReader(Stream[Chunk]):
    """Turns the bytes of one streamed answer into chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = FrameDecoder()
        self._finished = False
        self._calls: dict[int, _Call | None] = {}
        self._count = 0
        self._readers = {
            "contentBlockStart": self._read_start,
            "contentBlockDelta": self._read_delta,
            "contentBlockStop": self._read_stop,
            "messageStop": self._read_finish,
            "metadata": self._read_metadata,
        }

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        for headers, payload in self._frames.feed(data):
            read = self._readers.get(_event_type(headers, payload))
            if read is not None:
                chunk = read(read_object(payload))
                if chunk is not None:
                    pieces.append(chunk)
                if self.done:
                    break

    def _end(self) -> list[Chunk]:
        if not self._finished:
            raise WireError("the stream ended without a stop reason")
        return []

    def _read_start(self, event: dict[str, Any]) -> Chunk | None:
        start = read_mapping(event, "start")
        if start.get("toolUse") is None:
            return None
        block = read_mapping(start, "toolUse")
        if block.get("type") == HOSTED:
            self._calls[_index(event)] = None
            return None
        name, call_id = block.get("name"), block.get("toolUseId")
        if not (isinstance(name, str) and isinstance(call_id, str)):
            raise WireError("a tool call has no name or no id")
        call = self._calls[_index(event)] = _Call(self._count)
        self._count += 1
        return Chunk(delta=ToolCallDelta(call.number, call_id, name))

    def _read_delta(self, event: dict[str, Any]) -> Chunk | None:
        delta = read_mapping(event, "delta")
        text = read_string(delta, "text")
        if text:
            return Chunk(text)
        if block := read_mapping(delta, "toolUse"):
            return self._read_arguments(_index(event), read_string(block, "input"))
        return _read_thoughts(read_mapping(delta, "reasoningContent"))

    def _read_arguments(self, index: int, piece: str) -> Chunk | None:
        if index not in self._calls:
            raise WireError("arguments come before their tool call")
        call = self._calls[index]
        if call is None or not piece:
            return None
        call.has_arguments = True
        return Chunk(delta=ToolCallDelta(call.number, arguments=piece))

    def _read_stop(self, event: dict[str, Any]) -> Chunk | None:
        call = self._calls.get(_index(event))
        if call is None or call.has_arguments:
            return None
        return Chunk(delta=ToolCallDelta(call.number, arguments="{}"))

    def _read_finish(self, event: dict[str, Any]) -> Chunk:
        chunk = read_finish(event)
        self._finished = True
        return chunk

    def _read_metadata(self, event: dict[str, Any]) -> Chunk | None:
        # The last event; an answer without a stop reason before it is not whole.
        self.done = self._finished
        usage = read_usage(event.get("usage"))
        return Chunk(usage=usage) if usage.source == "provider" else None


class _Call:
    __slots__ = ("has_arguments", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_arguments = False


def _event_type(headers: Mapping[str, str], payload: bytes) -> str:
    """Say what an event is; raises what it reports if it is an exception."""
    kind = headers.get(":message-type", "event")
    if kind == "exception":
        raise read_exception(headers.get(":exception-type", ""), payload)
    if kind == "error":
        message = {"message": headers.get(":error-message", "")}
        raise UpstreamFaultError(error_detail(headers.get(":error-code"), message))
    return headers.get(":event-type", "")


def _index(event: dict[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    if not isinstance(index, int):
        raise WireError("an event does not say which block it belongs to")
    return index


def _read_thoughts(delta: dict[str, Any]) -> Chunk | None:
    names = ("text", "signature", "redactedContent")
    texts = [read_string(delta, name) for name in names]
    return Chunk(delta=ThinkingDelta(*texts)) if any(texts) else None

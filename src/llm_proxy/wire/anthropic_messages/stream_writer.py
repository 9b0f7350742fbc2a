"""Chunks as the events of a streamed message."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.types import (
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
from llm_proxy.wire.anthropic_messages.answers import write_message, write_tool_use
from llm_proxy.wire.anthropic_messages.stop_reasons import write_ending
from llm_proxy.wire.anthropic_messages.usage import write_late_usage
from llm_proxy.wire.free_text import write_free_text
from llm_proxy.wire.gathering import PartGatherer
from llm_proxy.wire.surface import Asked

_TEXT = "text"
_THINKING = "thinking"
# Written a hundred times a stream, so not with a dict and a serialiser.
_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"%b","%b":'
)
_END_OF_DELTA = b"}}\n\n"
_END_OF_BLOCK = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
)


def write_event(name: str, fields: Mapping[str, Any]) -> bytes:
    """Write one event.

    Args:
        name: Its name, which is its type as well.
        fields: What else it says.

    Returns:
        The event with the empty line that ends it.
    """
    data = orjson.dumps({"type": name, **fields})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


MESSAGE_STOP = write_event("message_stop", {})


class AnthropicStreamEncoder:
    """Writes one streamed message, event by event.

    A message has one block after the other. Where an upstream writes several calls at
    once, those behind the first are held back until that one is whole.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._started = False
        self._index = 0
        self._open: str | int | None = None
        self._delta = b""
        self._arguments: list[str] = []
        self._held: PartGatherer | None = None
        self._finish_reason: FinishReason = "stop"
        self._stop_sequence: str | None = None
        self._usage = Usage()

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Take the next chunks.

        Args:
            chunks: What the answer says, oldest first.

        Returns:
            Whole events.
        """
        out: list[bytes] = []
        for chunk in chunks:
            text, finish_reason, usage, model, delta, stop_sequence, _ = chunk
            if usage is not None:
                self._usage = usage
            if not self._started:
                self._start(model or "", out)
            if delta is not None or text:
                if text and delta is None and self._open is _TEXT:
                    out += (self._delta, orjson.dumps(text), _END_OF_DELTA)
                else:
                    self._take(chunk, out)
            if finish_reason is not None:
                self._finish_reason = finish_reason
                self._stop_sequence = stop_sequence
        return b"".join(out)

    def close(self) -> bytes:
        """End the message.

        Returns:
            What was held back, the end of the last block and of the message.
        """
        out: list[bytes] = []
        if not self._started:
            self._start("", out)
        self._close_block(out)
        held, self._held = self._held, None
        for part in held.all() if held else ():
            self._write_part(part, out)
            self._close_block(out)
        if not self._index:
            self._open_block(_TEXT, out)
            self._close_block(out)
        ending = {
            "delta": write_ending(self._finish_reason, self._stop_sequence),
            "usage": write_late_usage(self._usage),
        }
        out += (write_event("message_delta", ending), MESSAGE_STOP)
        return b"".join(out)

    def _start(self, model: str, out: list[bytes]) -> None:
        self._started = True
        message = write_message(model, self._usage, self._asked)
        out.append(write_event("message_start", {"message": message}))

    def _take(self, chunk: Chunk, out: list[bytes]) -> None:
        """Write, or hold back; thoughts stand before a text, calls behind it."""
        delta = chunk.delta
        if isinstance(delta, ThinkingDelta):
            if self._must_wait(_THINKING, out):
                self._hold(Chunk(delta=delta))
            else:
                self._think(delta, out)
        if chunk.text:
            if self._must_wait(_TEXT, out):
                self._hold(Chunk(chunk.text))
            else:
                self._say(chunk.text, out)
        if isinstance(delta, ToolCallDelta):
            if self._must_wait(delta.call, out) or delta.custom:
                self._hold(Chunk(delta=delta))
            else:
                self._call(delta, out)

    def _must_wait(self, block: str | int, out: list[bytes]) -> bool:
        """Say whether a block has to wait; if not, end the block before it."""
        if block == self._open:
            return False
        if self._held is not None:
            return True
        if isinstance(self._open, int) and not _is_object("".join(self._arguments)):
            return True
        self._close_block(out)
        return False

    def _hold(self, chunk: Chunk) -> None:
        if self._held is None:
            self._held = PartGatherer()
        self._held.add(chunk)

    def _say(self, text: str, out: list[bytes]) -> None:
        if self._open is None:
            self._open_block(_TEXT, out)
        out += (self._delta, orjson.dumps(text), _END_OF_DELTA)

    def _think(self, delta: ThinkingDelta, out: list[bytes]) -> None:
        text, signature, encrypted = delta
        if (text or signature) and self._open is None:
            self._open_block(_THINKING, out)
        if text:
            out += (self._delta, orjson.dumps(text), _END_OF_DELTA)
        if signature:
            proof = {"type": "signature_delta", "signature": signature}
            event = {"index": self._index, "delta": proof}
            out.append(write_event("content_block_delta", event))
        if encrypted:
            self._close_block(out)
            block = {"type": "redacted_thinking", "data": encrypted}
            self._start_block("", block, out)
        if signature or encrypted:
            self._close_block(out)

    def _call(self, delta: ToolCallDelta, out: list[bytes]) -> None:
        if self._open is None:
            self._open = delta.call
            self._arguments = []
            self._delta = _DELTA % (self._index, b"input_json_delta", b"partial_json")
            block = write_tool_use(delta.id, delta.name, {})
            self._start_block(delta.call, block, out)
        if delta.arguments:
            self._arguments.append(delta.arguments)
            out += (self._delta, orjson.dumps(delta.arguments), _END_OF_DELTA)

    def _write_part(self, part: Part, out: list[bytes]) -> None:
        match part:
            case Text(text):
                self._say(text, out)
            case Thinking(text, signature, encrypted):
                self._think(ThinkingDelta(text, signature, encrypted), out)
            case ToolCall(id_, name, arguments, custom):
                if custom:
                    arguments = write_free_text(arguments)
                self._call(ToolCallDelta(0, id_, name, arguments), out)

    def _open_block(self, kind: str, out: list[bytes]) -> None:
        if kind is _TEXT:
            block: dict[str, Any] = {"type": kind, "text": "", "citations": []}
        else:
            block = {"type": kind, "thinking": "", "signature": ""}
        name = kind.encode()
        self._delta = _DELTA % (self._index, name + b"_delta", name)
        self._start_block(kind, block, out)

    def _start_block(
        self, kind: str | int, block: dict[str, Any], out: list[bytes]
    ) -> None:
        self._open = kind
        event = {"index": self._index, "content_block": block}
        out.append(write_event("content_block_start", event))

    def _close_block(self, out: list[bytes]) -> None:
        if self._open is not None:
            out.append(_END_OF_BLOCK % self._index)
            self._open = None
            self._index += 1


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False

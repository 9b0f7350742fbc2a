"""Lets streamed answers pass, and looks at what we must know of them.

Most events are parts of the text and of no interest: a few searches tell so. They are
sound because inside of JSON strings every quote is escaped.
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import FinishReason
from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_chat.answer_reader import read_finish_reason
from llm_proxy.wire.openai_chat.relay import has_content_in
from llm_proxy.wire.openai_chat.stream_reader import read_event
from llm_proxy.wire.openai_chat.stream_writer import DONE, wants_usage
from llm_proxy.wire.openai_chat.usage import read_usage
from llm_proxy.wire.reading import is_utf8, read_mapping, read_mappings, read_string
from llm_proxy.wire.sse import (
    MAX_EVENT_BYTES,
    EventTooLargeError,
    SSEDecoder,
    split_events,
)
from llm_proxy.wire.stream import Stream

# How pieces begin that can be read; thoughts are `reasoning_content`, and completions,
# the older API, have `text`.
_PIECES = _CONTENT, _ARGUMENTS, _TEXT = b'content":"', b'"arguments":"', b'"text":"'
_UNFINISHED = b'"finish_reason":null'
_NO_USAGE = b',"usage":null'
_END = b"}\n\n"


class ChatPassageReader(Stream[Passage]):
    """Looks at the bytes of one streamed chat completion while they pass through.

    Args:
        fields: The caller's JSON. What we ask of the upstream and the caller did not,
            which is the usage, is taken out.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self._hides_usage = not wants_usage(fields)
        self._is_single = fields.get("n") in (None, 1)
        self._tail = bytearray()
        self._skims = False
        self._finishes: dict[int, bool] = {}
        self._called = False

    def _read(self, data: bytes, pieces: list[Passage]) -> None:
        if self._skims and not self._tail and _is_plain(data):
            pieces.append(Passage(self._without_usage(data), True))
            return
        if self._tail or not data.endswith(_END):
            data = self._complete(data)
        seen = 0
        if data and not self._skims:
            seen = self._look_at_all(data, pieces)
        if self._skims and (plain := _plain_part(data[seen:])):
            pieces.append(Passage(self._without_usage(plain), True))
            seen += len(plain)
        if seen < len(data) and not self.done:
            self._look_at_all(data[seen:], pieces)

    def _look_at_all(self, data: bytes, pieces: list[Passage]) -> int:
        """Look at each event, up to the first from which on a search is enough."""
        seen, skims = 0, self._skims
        for event in split_events(data):
            pieces.append(self._look(event))
            seen += len(event)
            if self.done or self._skims != skims:
                break
        return seen

    def _end(self) -> list[Passage]:
        self._check_finished()
        return [] if self.done else [Passage(DONE)]

    def _complete(self, data: bytes) -> bytes:
        """Join what was left over with `data` and keep back the unfinished event."""
        tail = self._tail
        if tail.endswith(b"\r"):
            del tail[-1:]
            data = b"\r" + data
        if b"\r" in data:
            data = _with_plain_lines(data)
        searched = max(len(tail) - 1, 0)
        tail += data
        end = tail.rfind(b"\n\n", searched) + 2
        if end > 1:
            block = bytes(tail[:end])
            del tail[:end]
            return block
        if len(tail) > MAX_EVENT_BYTES:
            raise EventTooLargeError("an event is too large")
        return b""

    def _look(self, raw: bytes) -> Passage:
        if self._skims and _is_plain(raw):
            return Passage(self._without_usage(raw), True)
        name, payload = _name_and_data(raw)
        if payload == b"[DONE]":
            self._check_finished()
            self.done = True
            self._skims = False
            return Passage(raw)
        event = read_event(name, payload)
        if event is None:
            # Readers of events break at data that is no JSON, and some at none at all,
            # but all of them know comments.
            return Passage(raw if raw.startswith(b":") and not payload else b"")
        return self._hear(raw, event)

    def _hear(self, raw: bytes, event: dict[str, Any]) -> Passage:
        choices = read_mappings(event, "choices")
        has_content = False
        finish_reason = None
        for choice in choices:
            said, reason = self._read_choice(choice)
            has_content = has_content or said
            finish_reason = finish_reason or reason
        # From here on what is no end is content; several choices have several ends.
        self._skims = self._skims or (has_content and self._is_single)
        usage = read_usage(event.get("usage"))
        model = event.get("model")
        if self._hides_usage:
            raw = b"" if usage and not choices else self._without_usage(raw)
        return Passage(
            raw,
            has_content or finish_reason is not None,
            finish_reason if self._is_finished() else None,
            usage,
            model if isinstance(model, str) else None,
        )

    def _read_choice(self, choice: dict[str, Any]) -> tuple[bool, FinishReason | None]:
        delta, reason = read_mapping(choice, "delta"), choice.get("finish_reason")
        said = bool(delta) and has_content_in(delta)
        said = said or bool(read_string(choice, "text"))
        self._called = self._called or bool(delta.get("tool_calls"))
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        self._finishes[index] = self._finishes.get(index, False) or bool(reason)
        return said, read_finish_reason(choice, self._called) if reason else None

    def _without_usage(self, raw: bytes) -> bytes:
        if not self._hides_usage or raw.rfind(_NO_USAGE) < 0:
            return raw
        return raw.replace(_NO_USAGE, b"")

    def _is_finished(self) -> bool:
        return bool(self._finishes) and all(self._finishes.values())

    def _check_finished(self) -> None:
        if not self._is_finished():
            raise WireError("the stream ended without a finish reason")


def _plain_part(block: bytes) -> bytes:
    """Cut off what only says that the answer goes on; nothing if more is said there."""
    last = block.rfind(_UNFINISHED)
    part = block[: block.find(b"\n\n", last) + 2]
    return part if last >= 0 and _is_plain(part) else b""


def _is_plain(block: bytes) -> bool:
    """Whether all its events are parts of one choice and say nothing else."""
    # CPython searches twice as fast from the end.
    if (
        not block.endswith(_END)
        or block.rfind(b'"usage":{') >= 0
        or block.rfind(b'"error"') >= 0
        or not (block.isascii() or is_utf8(block))
    ):
        return False
    lines = block.count(b"\n")
    if lines == 2:
        return block.rfind(_UNFINISHED) >= 0 and (
            block.rfind(_CONTENT) >= 0
            or block.rfind(_ARGUMENTS) >= 0
            or block.rfind(_TEXT) >= 0
        )
    events = block.count(_UNFINISHED)
    if not 2 * block.count(_END) == 2 * events == lines:
        return False
    return any(block.count(start) >= events for start in _PIECES)


def _name_and_data(raw: bytes) -> tuple[bytes, bytes]:
    if raw.startswith(b"data: ") and raw.count(b"\n") == 2:
        return b"", raw[6:-2]
    events = SSEDecoder().feed(raw)
    return events[0] if events else (b"", b"")


def _with_plain_lines(data: bytes) -> bytes:
    """End all lines in LF; a last CR may be half of a line end and stays."""
    last = b"\r" if data.endswith(b"\r") else b""
    lines = data.removesuffix(last).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return lines + last

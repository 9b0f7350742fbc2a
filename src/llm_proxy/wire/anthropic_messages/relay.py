"""The bytes of a stream, passed on as they are."""

import re
from typing import Any

from llm_proxy.wire.anthropic_messages.answers import read_block, read_model
from llm_proxy.wire.anthropic_messages.stop_reasons import read_stop_reason
from llm_proxy.wire.anthropic_messages.stream_reader import CONTENT_MARKS, read_delta
from llm_proxy.wire.anthropic_messages.stream_writer import MESSAGE_STOP
from llm_proxy.wire.anthropic_messages.usage import UsageTally
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.reading import is_utf8, read_event
from llm_proxy.wire.sse import SSEDecoder, WholeEvents, split_events
from llm_proxy.wire.stream import Stream

_PIECE = re.compile(rb'_delta","[a-z_]+":"')


class AnthropicPassageReader(Stream[Passage]):
    """Looks at the bytes of one streamed message while they pass through.

    Behind the first content, content is not parsed: of every event a search in its
    bytes tells whether it is one of the few that we must understand.
    """

    def __init__(self) -> None:
        super().__init__()
        self._finished = False
        self._skims = False
        self._events = SSEDecoder()
        self._usage = UsageTally()
        self._whole = WholeEvents()

    def _read(self, data: bytes, pieces: list[Passage]) -> None:
        events = self._whole.feed(data)
        if not events:
            return
        if self._skims and _is_plain(events) and is_utf8(events):
            pieces.append(Passage(events, _has_content(events)))
            return
        for event in split_events(events):
            pieces.append(self._look(event))
            if self.done:
                break

    def _end(self) -> list[Passage]:
        if not self._finished:
            raise WireError("the stream ended without a stop reason")
        if self.done:
            return []
        self.done = True
        return [Passage(MESSAGE_STOP)]

    def _look(self, raw: bytes) -> Passage:
        passage = Passage(raw, _has_content(raw))
        if self._skims and _is_plain(raw):
            return passage
        for name, payload in self._events.feed(raw):
            event = _read_event(name, payload)
            if isinstance(event, dict):
                passage = self._hear(event, passage)
        self._skims = self._skims or passage.has_content
        return passage

    def _hear(self, event: dict[str, Any], passage: Passage) -> Passage:
        match event.get("type"):
            case "content_block_delta":
                read_delta(event)
            case "content_block_start":
                read_block(event.get("content_block"), 0)
            case "message_start":
                message = event.get("message")
                if isinstance(message, dict):
                    usage = self._usage.add(message.get("usage"))
                    return passage._replace(model=read_model(message), usage=usage)
            case "message_delta":
                usage = self._usage.add(event.get("usage")) or passage.usage
                delta = event.get("delta")
                reason = delta.get("stop_reason") if isinstance(delta, dict) else None
                finish_reason = read_stop_reason(reason)
                self._finished = self._finished or finish_reason is not None
                ended = finish_reason is not None
                return passage._replace(
                    has_content=passage.has_content or ended,
                    finish_reason=finish_reason,
                    usage=usage,
                )
            case "message_stop":
                if not self._finished:
                    # Passed on, it would end the answer as if it were whole.
                    raise WireError("the message stopped without a stop reason")
                self.done = True
            case "error":
                raise UpstreamFaultError(error_detail(event.get("error")))
        return passage


def _read_event(name: bytes, payload: bytes) -> object:
    if name == b"error" and not payload.startswith(b"{"):
        raise UpstreamFaultError(error_detail(payload.decode(errors="replace")))
    return read_event(payload, CONTENT_MARKS)


def _is_plain(events: bytes) -> bool:
    """Whether none of them breaks off, or says more than content."""
    number = events.count(b"\n\n")
    return (
        # Lines that end in other ways are not told apart by such a count.
        0 < number == events.count(b"}\n\n")
        # CPython searches twice as fast from the end.
        and events.rfind(b'"message_') < 0
        and events.rfind(b"error") < 0
        and _is_readable(events, number)
    )


def _is_readable(events: bytes, number: int) -> bool:
    """Whether each piece of a content block is surely a string."""
    if number == 1 and events.rfind(b'"text":"') >= 0:
        return True
    return len(_PIECE.findall(events)) == events.count(b'"content_block_delta"')


def _has_content(data: bytes) -> bool:
    return (
        b'"content_block_delta"' in data
        or b'"tool_use"' in data
        or b'"redacted_thinking"' in data
    )

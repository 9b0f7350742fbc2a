"""The bytes of a stream, passed on as they are."""

import re
from typing import Any

from llm_proxy.wire.anthropic_messages.answers import read_model
from llm_proxy.wire.anthropic_messages.stop_reasons import read_stop_reason
from llm_proxy.wire.anthropic_messages.stream_reader import CONTENT_MARKS
from llm_proxy.wire.anthropic_messages.stream_writer import MESSAGE_STOP
from llm_proxy.wire.anthropic_messages.usage import UsageTally
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.reading import check_utf8, is_lost_content, read_object
from llm_proxy.wire.sse import MAX_EVENT_BYTES, EventTooLargeError, SSEDecoder

_LINE_END = rb"(?:\r\n|\r(?!\n)|\n)"
_EMPTY_LINE = re.compile(_LINE_END + _LINE_END)


class AnthropicPassageReader:
    """Looks at the bytes of one streamed message while they pass through.

    Content is not parsed: of every event a search in its bytes tells whether it is one
    of the few that we must understand.
    """

    def __init__(self) -> None:
        self.done = False
        self._finished = False
        self._events = SSEDecoder()
        self._usage = UsageTally()
        self._part = bytearray()

    def feed(self, data: bytes) -> list[Passage]:
        """Take the next bytes.

        Args:
            data: Bytes of the event stream, cut anywhere.

        Returns:
            Those of them that are whole events.

        Raises:
            UpstreamFaultError: An event carries an error.
            WireError: An event is too large, or breaks off.
        """
        if self._part or not data.endswith(b"\n\n"):
            data = self._whole_events(data)
            if not data:
                return []
        check_utf8(data)
        whole = data.count(b"}\n\n") == data.count(b"\n\n")
        if not whole or b'"message_' in data or b"error" in data:
            return [self._look_into(data)]
        return [Passage(data, _has_content(data))]

    def close(self) -> list[Passage]:
        """Take the end of the bytes.

        Returns:
            The end of the message, if the upstream left it out.

        Raises:
            WireError: No stop reason has come.
        """
        if not self._finished:
            raise WireError("the stream ended without a stop reason")
        if self.done:
            return []
        self.done = True
        return [Passage(MESSAGE_STOP)]

    def _whole_events(self, data: bytes) -> bytes:
        """Join what was left over with `data` and keep back the unfinished event."""
        part = self._part
        start = max(0, len(part) - 3)
        part += data
        end = _end_of_events(part, start)
        whole = bytes(part[:end])
        del part[:end]
        if len(part) > MAX_EVENT_BYTES:
            raise EventTooLargeError("an event is too large")
        return whole

    def _look_into(self, data: bytes) -> Passage:
        passage = Passage(data, _has_content(data))
        for name, payload in self._events.feed(data):
            event = _event_of_interest(name, payload)
            if event is not None:
                passage = self._hear(event, passage)
            if self.done:
                # What stands behind the end in the same read is none of the answer.
                end = _EMPTY_LINE.search(data, max(data.find(payload), 0))
                return passage._replace(data=data[: end.end()] if end else data)
        return passage

    def _hear(self, event: dict[str, Any], passage: Passage) -> Passage:
        match event.get("type"):
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


def _event_of_interest(name: bytes, payload: bytes) -> dict[str, Any] | None:
    if name == b"error" and not payload.startswith(b"{"):
        raise UpstreamFaultError(error_detail(payload.decode(errors="replace")))
    if b'"message_' in payload or b'"error"' in payload or not payload.endswith(b"}"):
        try:
            return read_object(payload)
        except WireError:
            if is_lost_content(payload, CONTENT_MARKS):
                raise
    return None


def _has_content(data: bytes) -> bool:
    return (
        b'"content_block_delta"' in data
        or b'"tool_use"' in data
        or b'"redacted_thinking"' in data
    )


def _end_of_events(data: bytearray, start: int) -> int:
    """Find the end of the last empty line that begins at `start` or behind it."""
    if b"\r" not in data:
        return data.rfind(b"\n\n", start) + 2 if b"\n\n" in data[start:] else 0
    end = 0
    for match in _EMPTY_LINE.finditer(data, start):
        end = match.end()
    return end

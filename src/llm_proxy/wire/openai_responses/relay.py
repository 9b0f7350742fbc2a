"""Answers that pass through to callers of the same dialect."""

from typing import Any

from llm_proxy.types import FinishReason
from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_responses.answer_reader import read_whole
from llm_proxy.wire.openai_responses.output_reader import OutputReader
from llm_proxy.wire.openai_responses.stream_reader import (
    MAX_EVENT_BYTES,
    ended_response_of,
    raise_fault,
    read_event,
    response_of,
)
from llm_proxy.wire.reading import check_utf8
from llm_proxy.wire.sse import EventTooLargeError, SSEDecoder

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_CONTENT = (".delta", ".done")


def observe(body: bytes) -> Passage:
    """Look at a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        The bytes, and what we must know of them. There is no finish reason while the
        response is still being made in the background.

    Raises:
        UpstreamFaultError: The body is an error, or the response has failed.
        WireError: The body is not an answer.
    """
    response = read_whole(body)
    return _observe_end(body, response)


def _observe_end(data: bytes, response: dict[str, Any]) -> Passage:
    reader = OutputReader()
    reader.hear_output(response.get("output"))
    end = reader.finish(response)
    finish_reason: FinishReason | None = end.finish_reason
    if response.get("status", "completed") not in ("completed", "incomplete"):
        finish_reason = None
    return Passage(data, True, finish_reason, end.usage, end.model)


class ResponsesPassageReader:
    """Looks at the bytes of one streamed response while they pass through.

    Attributes:
        done: Whether the response has ended.
    """

    def __init__(self) -> None:
        self.done = False
        self._tail = bytearray()
        self._has_content = False
        self._events = SSEDecoder(MAX_EVENT_BYTES)

    def feed(self, data: bytes) -> list[Passage]:
        """Take the next bytes.

        Args:
            data: Bytes of the event stream, cut anywhere.

        Returns:
            The events that they complete.

        Raises:
            UpstreamFaultError: An event carries an error.
            WireError: An event is damaged, or too large.
        """
        events = self._complete(data)
        if not events:
            return []
        check_utf8(events)
        if self._has_content and _is_plain(events):
            return [Passage(events, True)]
        return [self._look_into(events)]

    def close(self) -> list[Passage]:
        """Take the end of the bytes.

        Returns:
            An event that was not ended by an empty line.

        Raises:
            WireError: No event has ended the response.
        """
        passages = self.feed(b"\n\n") if self._tail else []
        if not self.done:
            raise WireError("the stream ended before the response did")
        return passages

    def _complete(self, data: bytes) -> bytes:
        """Give the whole events and keep back the one that is not."""
        if not self._tail and data.endswith(b"\n\n"):
            return data
        tail = self._tail
        searched = max(0, len(tail) - 3)
        tail += data
        ends = [
            start + len(end)
            for end in _ENDS
            if (start := tail.rfind(end, searched)) >= 0
        ]
        if not ends:
            if len(tail) > MAX_EVENT_BYTES:
                raise EventTooLargeError("an event is too large")
            return b""
        events = bytes(tail[: max(ends)])
        del tail[: max(ends)]
        return events

    def _look_into(self, events: bytes) -> Passage:
        passage = Passage(events)
        for _, payload in self._events.feed(events):
            event = read_event(payload)
            if event is not None:
                passage = self._read(passage, event)
        self._has_content = self._has_content or passage.has_content
        return passage

    def _read(self, passage: Passage, event: dict[str, Any]) -> Passage:
        match event.get("type"):
            case "response.created":
                model = response_of(event).get("model")
                return passage._replace(model=model if isinstance(model, str) else None)
            case "response.completed" | "response.incomplete":
                self.done = True
                return _observe_end(passage.data, ended_response_of(event))
            case str(kind) if kind.endswith(_CONTENT):
                return passage._replace(has_content=True)
        raise_fault(event)
        return passage


def _is_plain(events: bytes) -> bool:
    """Whether they are content: none breaks off, has a response object, or an error.

    Inside of JSON strings every quote is escaped, so no text looks like these names.
    """
    if events.count(b"}\n\n") != events.count(b"\n\n"):
        return False
    # CPython searches twice as fast from the end.
    return events.rfind(b'"response"') < 0 and events.rfind(b'"error"') < 0

"""Answers that pass through to callers of the same dialect."""

from typing import Any

from llm_proxy.types import FinishReason
from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_responses.answer_reader import read_whole
from llm_proxy.wire.openai_responses.output_reader import OutputReader
from llm_proxy.wire.openai_responses.stream_reader import (
    CONTENT_MARKS,
    MAX_EVENT_BYTES,
    ended_response_of,
    raise_fault,
    response_of,
)
from llm_proxy.wire.reading import is_utf8, read_event
from llm_proxy.wire.sse import SSEDecoder, WholeEvents, split_events
from llm_proxy.wire.stream import Stream

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


class ResponsesPassageReader(Stream[Passage]):
    """Looks at the bytes of one streamed response while they pass through."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = WholeEvents(MAX_EVENT_BYTES)
        self._has_content = False
        self._events = SSEDecoder(MAX_EVENT_BYTES)

    def _read(self, data: bytes, pieces: list[Passage]) -> None:
        events = self._whole.feed(data)
        if not events:
            return
        if self._has_content and _is_plain(events) and is_utf8(events):
            pieces.append(Passage(events, True))
            return
        for event in split_events(events):
            pieces.append(self._look(event))
            if self.done:
                break

    def _end(self) -> list[Passage]:
        passages: list[Passage] = []
        if not self.done:
            # The last event may not be ended by an empty line.
            self._read(self._whole.close(), passages)
        if not self.done:
            raise WireError("the stream ended before the response did")
        return passages

    def _look(self, raw: bytes) -> Passage:
        passage = Passage(raw)
        for _, payload in self._events.feed(raw):
            event = read_event(payload, CONTENT_MARKS)
            if isinstance(event, dict):
                passage = self._hear(event, passage)
        self._has_content = self._has_content or passage.has_content
        return passage

    def _hear(self, event: dict[str, Any], passage: Passage) -> Passage:
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

"""Answers that pass through to callers of the same dialect."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_proxy.types import FinishReason
from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_responses.answer_reader import read_whole
from llm_proxy.wire.openai_responses.finish import read_finish_reason
from llm_proxy.wire.openai_responses.output_reader import ARGUMENTS
from llm_proxy.wire.openai_responses.stream_reader import (
    LARGEST_EVENT_BYTES,
    Event,
    check_piece,
    ended_response_of,
    parse_event,
    raise_fault,
    response_of,
)
from llm_proxy.wire.openai_responses.usage import read_usage
from llm_proxy.wire.reading import is_utf8, read_mappings, read_string
from llm_proxy.wire.sse import (
    MAX_EVENT_BYTES,
    SSEDecoder,
    WholeEvents,
    split_events,
)
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
    finish_reason: FinishReason | None = None
    if response.get("status", "completed") in ("completed", "incomplete"):
        kinds = [*_kinds_in(response)]
        called = any(kind in ARGUMENTS for kind in kinds)
        finish_reason = read_finish_reason(
            response, refused="refusal" in kinds, called=called
        )
    model = response.get("model")
    model = model if isinstance(model, str) else None
    return Passage(data, True, finish_reason, read_usage(response.get("usage")), model)


def _kinds_in(response: Mapping[str, Any]) -> Iterator[str]:
    """Say of what types the items are, and the parts of messages.

    Raises:
        WireError: One of them cannot be read.
    """
    for item in read_mappings(response, "output"):
        yield str(item.get("type"))
        for part in read_mappings(item, "content"):
            read_string(part, "text")
            yield str(part.get("type"))


class ResponsesPassageReader(Stream[Passage]):
    """Looks at the bytes of one streamed response while they pass through."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = WholeEvents(LARGEST_EVENT_BYTES)
        self._has_content = False
        self._events = SSEDecoder(LARGEST_EVENT_BYTES)

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
            event = parse_event(payload)
            if event is not None:
                passage = self._hear(event, passage)
        self._has_content = self._has_content or passage.has_content
        return passage

    def _hear(self, event: Event, passage: Passage) -> Passage:
        match event.get("type"):
            case "response.created":
                model = response_of(event).get("model")
                return passage._replace(model=model if isinstance(model, str) else None)
            case "response.completed" | "response.incomplete":
                self.done = True
                return _observe_end(passage.data, ended_response_of(event))
            case str(kind) if kind.endswith(_CONTENT):
                check_piece(event)
                return passage._replace(has_content=True)
        raise_fault(event)
        return passage


def _is_plain(events: bytes) -> bool:
    """Whether they are content: none is large, breaks off, has a response or an error.

    Inside of JSON strings every quote is escaped, so no text looks like these names.
    """
    # Lines that end in other ways than LF are not told apart by such a count.
    if not 0 < events.count(b"\n\n") == events.count(b"}\n\n"):
        return False
    if len(events) > MAX_EVENT_BYTES:
        return False
    if events.count(b'"delta":') != events.count(b'"delta":"'):
        return False
    # CPython searches twice as fast from the end.
    return events.rfind(b'"response"') < 0 and events.rfind(b'"error"') < 0

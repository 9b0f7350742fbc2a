"""Turns the bytes of one streamed answer into chunks.

Source: the OpenAI API reference, "Streaming events" of the Responses API.
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_proxy.types import Chunk
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_responses.errors import event_detail, failure_detail
from llm_proxy.wire.openai_responses.output_reader import Kind, OutputReader, Place
from llm_proxy.wire.reading import read_event, read_mapping, read_string
from llm_proxy.wire.sse import MAX_EVENT_BYTES, EventTooLargeError, SSEDecoder
from llm_proxy.wire.stream import Stream

# The last event repeats the whole answer, and what it was asked with; an item may be an
# image. Only what comes piece by piece is as small as in other dialects.
LARGEST_EVENT_BYTES = 16 << 20
_PIECE = ".delta"
_CONTENT_MARKS = (b'"delta"', b'"item"', b'"part"', b'"text"', b'"response"')

Event = Mapping[str, Any]


def parse_event(payload: bytes) -> Event | None:
    """Parse the data of one event.

    Args:
        payload: The data.

    Returns:
        The event; None for what is none, as heartbeats are.

    Raises:
        WireError: It held a piece of the answer and cannot be read.
        EventTooLargeError: It is a single piece of the answer, and over the bound.
    """
    event = read_event(payload, _CONTENT_MARKS)
    if not isinstance(event, dict):
        return None
    kind = event.get("type")
    is_piece = isinstance(kind, str) and kind.endswith(_PIECE)
    if is_piece and len(payload) > MAX_EVENT_BYTES:
        raise EventTooLargeError("a piece of the answer is too large")
    return event


def raise_fault(event: Event) -> None:
    """Look for an upstream's error in an event that is not of the answer.

    Args:
        event: The event.

    Raises:
        UpstreamFaultError: It is an error.
    """
    if event.get("type") == "response.failed":
        raise UpstreamFaultError(failure_detail(response_of(event).get("error")))
    if event.get("type") == "error" or event.get("error"):
        raise UpstreamFaultError(event_detail(event))


def response_of(event: Event) -> dict[str, Any]:
    """Take the response object out of an event.

    Args:
        event: The event.

    Returns:
        The object; empty if there is none.
    """
    response = event.get("response")
    return response if isinstance(response, dict) else {}


def ended_response_of(event: Event) -> dict[str, Any]:
    """Take the response object out of an event that ends it.

    Args:
        event: ``response.completed`` or ``response.incomplete``.

    Returns:
        The object; its status is what the event is called.
    """
    status = event["type"].removeprefix("response.")
    return {**response_of(event), "status": status}


def check_piece(event: Event) -> None:
    """See whether a piece of the answer can be read.

    Args:
        event: Whose type ends in ``.delta`` or ``.done``. Only of types that are known
            here it is known that they have text.

    Raises:
        WireError: It cannot.
    """
    if event.get("type") in _READERS:
        for name in ("delta", "text", "refusal", "arguments", "input"):
            read_string(event, name)


class ResponsesStreamReader(Stream[Chunk]):
    """Turns the bytes of one streamed response into chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEDecoder(LARGEST_EVENT_BYTES)
        self._output = OutputReader()

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        for _, payload in self._events.feed(data):
            event = parse_event(payload)
            if event is not None:
                self._hear(event, pieces)
                if self.done:
                    break

    def _end(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        if not self.done:
            # The last event may not be ended by an empty line.
            self._read(b"\n\n", chunks)
        if not self.done:
            raise WireError("the stream ended before the response did")
        return chunks

    def _hear(self, event: Event, chunks: list[Chunk]) -> None:
        kind = event.get("type")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is not None:
            chunk = reader(self._output, event)
            if chunk is not None:
                chunks.append(chunk)
        elif kind == "response.output_item.done":
            item = read_mapping(event, "item")
            chunks += self._output.end_item(_index(event), item)
        elif kind in ("response.completed", "response.incomplete"):
            response = ended_response_of(event)
            chunks += self._output.hear_output(response)
            chunks.append(self._output.finish(response))
            self.done = True
        else:
            raise_fault(event)


def _index(event: Event, name: str = "output_index") -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0


def _read_created(output: OutputReader, event: Event) -> Chunk | None:
    model = response_of(event).get("model")
    return Chunk(model=model) if model and isinstance(model, str) else None


def _read_added(output: OutputReader, event: Event) -> Chunk | None:
    return output.begin_item(_index(event), read_mapping(event, "item"))


def _read_text(output: OutputReader, event: Event) -> Chunk | None:
    piece = read_string(event, "delta")
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_text(place, piece, event.get("logprobs")) if piece else None


def _read_text_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    text = read_string(event, "text")
    return output.hear_whole_text(place, text, event.get("logprobs"))


def _read_refusal(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_refusal(place, read_string(event, "delta"))


def _read_refusal_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    whole = read_string(event, "refusal")
    return output.hear_refusal(place, output.rest(place, whole))


def _read_arguments(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "arguments", 0)
    return output.hear_arguments(place, read_string(event, "delta"))


def _read_arguments_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "arguments", 0)
    whole = read_string(event, "arguments") or read_string(event, "input")
    return output.hear_arguments(place, output.rest(place, whole))


def _thoughts_reader(
    kind: Kind, part: str
) -> Callable[[OutputReader, Event], Chunk | None]:
    def read(output: OutputReader, event: Event) -> Chunk | None:
        place: Place = (_index(event), kind, _index(event, part))
        return output.hear_thoughts(place, read_string(event, "delta"))

    return read


_READERS: Mapping[str, Callable[[OutputReader, Event], Chunk | None]] = {
    "response.created": _read_created,
    "response.output_item.added": _read_added,
    "response.output_text.delta": _read_text,
    "response.output_text.done": _read_text_done,
    "response.refusal.delta": _read_refusal,
    "response.refusal.done": _read_refusal_done,
    "response.function_call_arguments.delta": _read_arguments,
    "response.function_call_arguments.done": _read_arguments_done,
    "response.custom_tool_call_input.delta": _read_arguments,
    "response.custom_tool_call_input.done": _read_arguments_done,
    "response.reasoning_summary_text.delta": _thoughts_reader(
        "summary", "summary_index"
    ),
    "response.reasoning_text.delta": _thoughts_reader("content", "content_index"),
}

"""Turns the bytes of one streamed answer into chunks.

Source: the OpenAI API reference, "Streaming events" of the Responses API.
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_proxy.types import Chunk
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_responses.errors import event_detail, failure_detail
from llm_proxy.wire.openai_responses.output_reader import Kind, OutputReader, Place
from llm_proxy.wire.reading import read_event
from llm_proxy.wire.sse import SSEDecoder
from llm_proxy.wire.stream import Stream

# The last event repeats the whole answer, and what it was asked with.
MAX_EVENT_BYTES = 16 << 20
CONTENT_MARKS = (b'"delta"', b'"item"', b'"part"', b'"text"', b'"response"')

Event = Mapping[str, Any]


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


class ResponsesStreamReader(Stream[Chunk]):
    """Turns the bytes of one streamed response into chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEDecoder(MAX_EVENT_BYTES)
        self._output = OutputReader()

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        for _, payload in self._events.feed(data):
            event = read_event(payload, CONTENT_MARKS)
            if isinstance(event, dict):
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
            chunks += self._output.end_item(_index(event), _object(event, "item"))
        elif kind in ("response.completed", "response.incomplete"):
            response = ended_response_of(event)
            chunks += self._output.hear_output(response.get("output"))
            chunks.append(self._output.finish(response))
            self.done = True
        else:
            raise_fault(event)


def _index(event: Event, name: str = "output_index") -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0


def _text(event: Event, name: str) -> str:
    text = event.get(name)
    return text if isinstance(text, str) else ""


def _object(event: Event, name: str) -> dict[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _read_created(output: OutputReader, event: Event) -> Chunk | None:
    model = _text(response_of(event), "model")
    return Chunk(model=model) if model else None


def _read_added(output: OutputReader, event: Event) -> Chunk | None:
    return output.begin_item(_index(event), _object(event, "item"))


def _read_text(output: OutputReader, event: Event) -> Chunk | None:
    piece = _text(event, "delta")
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_text(place, piece, event.get("logprobs")) if piece else None


def _read_text_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_whole_text(place, event.get("text"), event.get("logprobs"))


def _read_refusal(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_refusal(place, _text(event, "delta"))


def _read_refusal_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "text", _index(event, "content_index"))
    return output.hear_refusal(place, output.rest(place, event.get("refusal")))


def _read_arguments(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "arguments", 0)
    return output.hear_arguments(place, _text(event, "delta"))


def _read_arguments_done(output: OutputReader, event: Event) -> Chunk | None:
    place: Place = (_index(event), "arguments", 0)
    whole = event.get("arguments", event.get("input"))
    return output.hear_arguments(place, output.rest(place, whole))


def _thoughts_reader(
    kind: Kind, part: str
) -> Callable[[OutputReader, Event], Chunk | None]:
    def read(output: OutputReader, event: Event) -> Chunk | None:
        place: Place = (_index(event), kind, _index(event, part))
        return output.hear_thoughts(place, _text(event, "delta"))

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

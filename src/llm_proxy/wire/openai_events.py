"""Streams of images, speech and transcripts, as OpenAI's API writes them."""

import orjson

from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_usage import read_usage
from llm_proxy.wire.sse import ServerSentEvent, SSEDecoder
from llm_proxy.wire.stream import Stream

# An event may hold a whole image in base64.
_MAX_EVENT_BYTES = 32 * 1024 * 1024
_LAST = frozenset(
    (
        "image_generation.completed",
        "image_edit.completed",
        "speech.audio.done",
        "transcript.text.done",
    )
)


class MediaEvents(Stream[Passage]):
    """Looks at one stream while it passes through, but for what is no event of the API.

    Only ``[DONE]`` is known to be the last word: several images end several times.
    """

    def __init__(self) -> None:
        super().__init__()
        self._decoder = SSEDecoder(_MAX_EVENT_BYTES)
        self._is_whole = False

    def _read(self, data: bytes, pieces: list[Passage]) -> None:
        for event in self._decoder.feed(data):
            passage = self._look(event)
            if passage is not None:
                pieces.append(passage)
            if self.done:
                break

    def _end(self) -> list[Passage]:
        if not self._is_whole:
            raise WireError("the stream ended before the answer did")
        return []

    def _look(self, event: ServerSentEvent) -> Passage | None:
        _, payload = event
        if payload == b"[DONE]":
            self.done = self._is_whole = True
            return Passage(_write(event))
        try:
            fields = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            if payload.startswith(b"{"):
                raise WireError("an event is not JSON") from error
            return None
        if not isinstance(fields, dict):
            return None
        kind = fields.get("type")
        if fields.get("error") or kind == "error":
            raise UpstreamFaultError(error_detail(fields.get("error") or fields))
        if kind not in _LAST:
            return Passage(_write(event), has_content=True)
        self._is_whole = True
        usage = read_usage(fields.get("usage"))
        return Passage(_write(event), has_content=True, usage=usage)


def _write(event: ServerSentEvent) -> bytes:
    name, payload = event
    head = b"event: %b\n" % name if name else b""
    data = payload.replace(b"\n", b"\ndata: ")
    return b"%bdata: %b\n\n" % (head, data)

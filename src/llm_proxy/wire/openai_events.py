"""Streams of images, speech and transcripts, as OpenAI's API writes them."""

import orjson

from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_usage import read_usage
from llm_proxy.wire.sse import ServerSentEvent, SSEDecoder

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


class MediaEvents:
    """Looks at one stream while it passes through; a `PassageReader`.

    Attributes:
        done: Whether the upstream has said its last word. Only ``[DONE]`` is known to
            be one, since several images end several times.
    """

    def __init__(self) -> None:
        self.done = False
        self._decoder = SSEDecoder(_MAX_EVENT_BYTES)
        self._is_whole = False

    def feed(self, data: bytes) -> list[Passage]:
        """Take the next bytes.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            The events that these bytes completed; what is no event of the API is left
            out.

        Raises:
            WireError: A part of the answer is lost.
            UpstreamFaultError: An event is an error.
        """
        passages = []
        for event in self._decoder.feed(data):
            passage = self._read(event)
            if passage is not None:
                passages.append(passage)
        return passages

    def close(self) -> list[Passage]:
        """Take the end of the bytes.

        Returns:
            Nothing more.

        Raises:
            WireError: The answer is not whole.
        """
        if not self._is_whole:
            raise WireError("the stream ended before the answer did")
        return []

    def _read(self, event: ServerSentEvent) -> Passage | None:
        if event.data == b"[DONE]":
            self.done = self._is_whole = True
            return Passage(_write(event))
        try:
            fields = orjson.loads(event.data)
        except orjson.JSONDecodeError as error:
            if event.data.startswith(b"{"):
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
    name = b"event: %b\n" % event.name if event.name else b""
    data = b"data: " + event.data.replace(b"\n", b"\ndata: ")
    return b"%b%b\n\n" % (name, data)

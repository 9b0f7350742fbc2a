"""Reads streamed answers of the Gemini API.

Source: the Gemini API reference, "models.streamGenerateContent".
"""

import re

import orjson

from llm_proxy.types import Chunk
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.gemini.answers import AnswerReader
from llm_proxy.wire.reading import is_lost_content
from llm_proxy.wire.sse import SSEDecoder

_CONTENT_MARKS = (b'"candidates"', b'"content"', b'"parts"')
_EVENT_ENDS = (b"\r\n\r\n", b"\n\n")
_MAX_TAIL_BYTES = 64 * 1024
# Where a stream fails, the API writes the error as it is, not as an event.
_BARE_ERROR = re.compile(rb'^\[?\s*\{\s*"error"', re.MULTILINE)


class GeminiStreamDecoder:
    """Turns the bytes of one streamed answer into chunks.

    There is no last event: the answer is whole when the bytes end and a finish reason
    has come.
    """

    def __init__(self) -> None:
        self.done = False
        self._events = SSEDecoder()
        self._reader = AnswerReader()
        self._tail = bytearray()

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes.

        Args:
            data: Bytes of the event stream, cut anywhere.

        Returns:
            What they said, oldest first.

        Raises:
            UpstreamFaultError: An event carries an error.
            WireError: An event is damaged or too large, or says that the answer failed.
        """
        chunks: list[Chunk] = []
        events = self._events.feed(data)
        for _, payload in events:
            self._read_event(payload, chunks)
        if events and data.endswith(_EVENT_ENDS) and b'"error"' not in data:
            self._tail.clear()
        else:
            # It may be the beginning of an error that is no event.
            self._tail += data[: _MAX_TAIL_BYTES - len(self._tail)]
        return chunks

    def close(self) -> list[Chunk]:
        """Take the end of the bytes.

        Returns:
            The finish reason and the usage.

        Raises:
            UpstreamFaultError: An error stands there that is no event.
            WireError: No finish reason has come.
        """
        error = _BARE_ERROR.search(self._tail)
        if error is not None:
            raise UpstreamFaultError(read_error(bytes(self._tail[error.start() :])))
        return [self._reader.finish()]

    def _read_event(self, payload: bytes, chunks: list[Chunk]) -> None:
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            if is_lost_content(payload, _CONTENT_MARKS):
                raise WireError("an event is not JSON") from error
            return
        if isinstance(event, dict):
            chunks += self._reader.read(event)
        elif isinstance(event, list):
            for answer in event:
                if isinstance(answer, dict):
                    chunks += self._reader.read(answer)

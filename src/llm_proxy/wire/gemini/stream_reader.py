"""Reads streamed answers of the Gemini API.

Source: the Gemini API reference, "models.streamGenerateContent".
"""

import re

from llm_proxy.types import Chunk
from llm_proxy.wire.dialect import UpstreamFaultError
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.gemini.answers import AnswerReader
from llm_proxy.wire.reading import read_event
from llm_proxy.wire.sse import SSEDecoder
from llm_proxy.wire.stream import Stream

_CONTENT_MARKS = (b'"candidates"', b'"content"', b'"parts"')
_EVENT_ENDS = (b"\r\n\r\n", b"\n\n")
_MAX_TAIL_BYTES = 64 * 1024
# Where a stream fails, the API writes the error as it is, not as an event.
_BARE_ERROR = re.compile(rb'^\[?\s*\{\s*"error"', re.MULTILINE)


class GeminiStreamDecoder(Stream[Chunk]):
    """Turns the bytes of one streamed answer into chunks.

    ``STOP`` may stand in any event, and the answer is whole when the bytes end behind
    it. Any other reason is the last word.
    """

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEDecoder()
        self._answer = AnswerReader()
        self._tail = bytearray()

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        events = self._events.feed(data)
        for _, payload in events:
            self._hear(read_event(payload, _CONTENT_MARKS), pieces)
            if self._answer.ended:
                self.done = True
                return
        if events and data.endswith(_EVENT_ENDS) and b'"error"' not in data:
            self._tail.clear()
        else:
            # It may be the beginning of an error that is no event.
            self._tail += data[: _MAX_TAIL_BYTES - len(self._tail)]

    def _end(self) -> list[Chunk]:
        error = None if self.done else _BARE_ERROR.search(self._tail)
        if error is not None:
            raise UpstreamFaultError(read_error(bytes(self._tail[error.start() :])))
        return [self._answer.finish()]

    def _hear(self, event: object, pieces: list[Chunk]) -> None:
        if isinstance(event, dict):
            pieces += self._answer.read(event)
        elif isinstance(event, list):
            for each in event:
                if isinstance(each, dict) and not self._answer.ended:
                    pieces += self._answer.read(each)

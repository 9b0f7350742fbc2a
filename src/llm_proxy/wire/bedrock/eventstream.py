"""Amazon's binary event streams, parsed from bytes however the network cuts them.

A frame is a prelude (its length, the length of its headers, the CRC-32 of both), the
headers, the payload, and the CRC-32 of all that; integers are big-endian. Source: the
Smithy specification, "Amazon Event Stream".
"""

from collections.abc import Mapping
from struct import Struct
from zlib import crc32

from llm_proxy.wire.dialect import WireError

MEDIA_TYPE = "application/vnd.amazon.eventstream"
MAX_FRAME_BYTES = 1 << 20

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_SMALLEST = _PRELUDE.size + _CRC.size
# How many bytes the value of a header has, by its type: two booleans without any, four
# integers, (6 and 7: bytes and text, which say their length), a time, a UUID.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_TEXT = 7
_MEASURED = (6, _TEXT)
# The events of one kind have the same headers to the byte, and kinds are few.
_MAX_KEPT = 32


# One event: its headers, as far as they are text, and its payload. A plain tuple, as a
# `ServerSentEvent` is.
Frame = tuple[Mapping[str, str], bytes]


class FrameDecoder:
    """Turns the bytes of one stream into frames.

    Args:
        max_frame_bytes: The most bytes a frame may have.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._tail = bytearray()
        self._wanted = _PRELUDE.size
        self._known: dict[bytes, Mapping[str, str]] = {}

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            The frames that these bytes completed.

        Raises:
            WireError: A frame is over the bound or damaged.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._wanted:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        frames: list[Frame] = []
        start, self._wanted = 0, _PRELUDE.size
        while len(data) - start >= _PRELUDE.size:
            size, headers_size = self._read_prelude(data, start)
            if len(data) - start < size:
                self._wanted = size
                break
            frames.append(self._read_frame(data[start : start + size], headers_size))
            start += size
        self._tail += data[start:]
        return frames

    def _read_prelude(self, data: bytes, start: int) -> tuple[int, int]:
        size, headers_size, crc = _PRELUDE.unpack_from(data, start)
        # Checked before the lengths are believed.
        if crc32(data[start : start + 8]) != crc:
            raise WireError("a frame's prelude is damaged")
        if size > self._max:
            raise WireError("a frame is too large")
        if size < _SMALLEST + headers_size:
            raise WireError("a frame's lengths contradict each other")
        return size, headers_size

    def _read_frame(self, frame: bytes, headers_size: int) -> Frame:
        if crc32(frame[: -_CRC.size]) != _CRC.unpack_from(frame, len(frame) - 4)[0]:
            raise WireError("a frame is damaged")
        payload = _PRELUDE.size + headers_size
        raw = frame[_PRELUDE.size : payload]
        headers = self._known.get(raw)
        if headers is None:
            headers = _parse_headers(raw)
            if len(self._known) < _MAX_KEPT:
                self._known[raw] = headers
        return headers, frame[payload : -_CRC.size]


def _parse_headers(raw: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(raw):
            value = position + 1 + raw[position]
            name, kind = raw[position + 1 : value], raw[value]
            value += 1
            if kind in _MEASURED:
                size = int.from_bytes(raw[value : value + 2], "big")
                value += 2
            else:
                size = _SIZES[kind]
            position = value + size
            if kind == _TEXT:
                headers[name.decode()] = raw[value:position].decode()
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise WireError("a frame's headers are malformed") from error
    if position != len(raw):
        raise WireError("a frame's headers are malformed")
    return headers

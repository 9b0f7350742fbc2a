"""Amazon's binary event streams, written from lines that people can read.

``contentBlockDelta {"delta": …}`` is an event, ``!throttlingException {"message": …}``
an exception. Source: the Smithy specification, "Amazon Event Stream".
"""

import struct
from zlib import crc32

MEDIA_TYPE = "application/vnd.amazon.eventstream"
_TEXT = 7


def write_frames(text: str) -> bytes:
    """Write one frame per line."""
    return b"".join(_frame(*line.split(" ", 1)) for line in text.splitlines() if line)


def _frame(name: str, payload: str) -> bytes:
    kind = "exception" if name.startswith("!") else "event"
    headers = b"".join(
        _header(key, value)
        for key, value in {
            f":{kind}-type": name.removeprefix("!"),
            ":content-type": "application/json",
            ":message-type": kind,
        }.items()
    )
    data = payload.encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    frame = lengths + struct.pack(">I", crc32(lengths)) + headers + data
    return frame + struct.pack(">I", crc32(frame))


def _header(name: str, value: str) -> bytes:
    lengths = bytes([len(name)]), bytes([_TEXT]) + struct.pack(">H", len(value))
    return lengths[0] + name.encode() + lengths[1] + value.encode()

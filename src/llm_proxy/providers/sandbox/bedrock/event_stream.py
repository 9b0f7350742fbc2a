"""Amazon's binary event streams, as the vendor writes them.

Source: the Smithy specification, "Amazon Event Stream".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from zlib import crc32

_PRELUDE = Struct(">II")
_CRC = Struct(">I")
_BEFORE_HEADERS = _PRELUDE.size + _CRC.size
_TEXT = 7
# One header of every other type: two booleans, four integers, bytes, a time, a UUID.
_ODD_HEADERS = b"".join(
    bytes((3,)) + name + value
    for name, value in (
        (b"yes", b"\0"),
        (b"not", b"\1"),
        (b"i08", b"\2" + bytes(1)),
        (b"i16", b"\3" + bytes(2)),
        (b"i32", b"\4" + bytes(4)),
        (b"i64", b"\5" + bytes(8)),
        (b"raw", b"\6\0\2" + bytes(2)),
        (b"now", b"\x08" + bytes(8)),
        (b"uid", b"\x09" + bytes(16)),
    )
)


def write_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Write one frame.

    Args:
        headers: Names and texts.
        payload: The rest.

    Returns:
        The frame, with its lengths and checksums.
    """
    return b"".join(_frame(_write_headers(headers), [payload]))


def _write_headers(headers: Mapping[str, str]) -> bytes:
    return b"".join(
        bytes((len(name),))
        + name.encode()
        + bytes((_TEXT,))
        + len(value).to_bytes(2)
        + value.encode()
        for name, value in headers.items()
    )


def _frame(headers: bytes, payload: Sequence[bytes]) -> Sequence[bytes]:
    """Write a frame in pieces, because some payloads are huge."""
    size = sum(map(len, payload)) + len(headers) + _BEFORE_HEADERS + _CRC.size
    lengths = _PRELUDE.pack(size, len(headers))
    head = lengths + _CRC.pack(crc32(lengths)) + headers
    checksum = crc32(head)
    for piece in payload:
        checksum = crc32(piece, checksum)
    return (head, *payload, _CRC.pack(checksum))


class EventStream:
    """The framing of ``application/vnd.amazon.eventstream``."""

    media_type = "application/vnd.amazon.eventstream"
    broken_event = write_frame({":event-type": "broken"}, b"{}")[: -_CRC.size] + bytes(
        _CRC.size
    )
    idle_event = write_frame(
        {":event-type": "heartbeat", ":message-type": "event"}, b"{}"
    )

    def make_noise(self, event: bytes) -> Sequence[bytes]:
        """Send an event of an unknown type, with headers of every type."""
        heartbeat = _write_headers(
            {":event-type": "heartbeat", ":message-type": "event"}
        )
        return (*_frame(heartbeat + _ODD_HEADERS, [b"{}"]), event)

    def fill(
        self, event: bytes, mark: bytes, filling: Sequence[bytes]
    ) -> Iterable[bytes]:
        """Replace the mark, and make lengths and checksums right again."""
        headers, payload = _parts(event)
        before, _, after = payload.partition(mark)
        return _frame(headers, [before, *filling, after])

    def rewrite(self, event: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """Change the payload, and make lengths and checksums right again."""
        headers, payload = _parts(event)
        return b"".join(_frame(headers, [change(payload)]))


def _parts(event: bytes) -> tuple[bytes, bytes]:
    """Take a frame apart into its headers and its payload."""
    _, headers_size = _PRELUDE.unpack_from(event)
    payload = _BEFORE_HEADERS + headers_size
    return event[_BEFORE_HEADERS:payload], event[payload : -_CRC.size]

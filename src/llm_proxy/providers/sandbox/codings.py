"""Content codings in which replies can be compressed (RFC 9110, 8.4.1)."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# No checksum and no size of the content; a window of 128 KiB.
_ZSTD_HEADER = b"\x00\x38"
_ZSTD_MOST = 128 * 1024
_RAW, _REPEATED = 0, 1


def _deflate(parts: Iterable[bytes], wbits: int) -> list[bytes]:
    compressor = zlib.compressobj(level=1, wbits=wbits)
    return [*map(compressor.compress, parts), compressor.flush()]


def _zstd(parts: Iterable[bytes]) -> list[bytes]:
    """Write a frame of RFC 8878 in which nothing is compressed but repetitions."""
    last = b"\x01\x00\x00"
    blocks = [block for part in parts for block in _zstd_blocks(part)]
    return [_ZSTD_MAGIC + _ZSTD_HEADER, *blocks, last]


def _zstd_blocks(part: bytes) -> Iterator[bytes]:
    for start in range(0, len(part), _ZSTD_MOST):
        piece = part[start : start + _ZSTD_MOST]
        repeats = piece == piece[:1] * len(piece)
        kind, content = (_REPEATED, piece[:1]) if repeats else (_RAW, piece)
        yield (len(piece) << 3 | kind << 1).to_bytes(3, "little") + content


CODINGS: Mapping[str, Callable[[Iterable[bytes]], list[bytes]]] = {
    "gzip": partial(_deflate, wbits=zlib.MAX_WBITS | 16),
    "deflate": partial(_deflate, wbits=zlib.MAX_WBITS),
    "zstd": _zstd,
}
"""What compresses the pieces of a body, by the name of the coding."""

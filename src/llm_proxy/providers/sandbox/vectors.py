"""Vectors that stand for texts: made up, but always the same."""

import hashlib
import math
import re
import struct

_USUAL_DIMENSIONS = 8
_OWN_MODEL = re.compile(r"embed(-floats-only|-(?P<dimensions>[1-9][0-9]{0,3}))?")


def makes_vectors(model: str) -> bool:
    """Find out whether a model is there for nothing else.

    Args:
        model: Its name.

    Returns:
        Whether it is ``embed``, ``embed-N`` or ``embed-floats-only``.
    """
    return _OWN_MODEL.fullmatch(model) is not None


def usual_dimensions(model: str) -> int:
    """Say how many numbers a vector has if the request does not.

    Args:
        model: The name of the model.

    Returns:
        N for ``embed-N``, else 8.
    """
    own = _OWN_MODEL.fullmatch(model)
    return int((own and own["dimensions"]) or _USUAL_DIMENSIONS)


def make_vector(text: str, dimensions: int) -> bytes:
    """Make a vector of length 1.

    Args:
        text: What it stands for.
        dimensions: How many numbers it has.

    Returns:
        Little-endian floats of 32 bits.
    """
    noise = hashlib.shake_128(text.encode(errors="replace")).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", noise)]
    length = math.hypot(*numbers)
    return struct.pack(f"<{dimensions}f", *(number / length for number in numbers))


def floats_in(vector: bytes) -> list[float]:
    """Read a vector.

    Args:
        vector: Little-endian floats of 32 bits.

    Returns:
        The numbers.
    """
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))

"""Names for what is too long, or too private, to be a name itself."""

from hashlib import sha256

_LENGTH_BYTES = 8


def digest(*parts: bytes) -> str:
    """Hash a list, so that no two lists share a hash.

    Args:
        parts: Anything; ``(b"ab", b"c")`` and ``(b"a", b"bc")`` are two lists.

    Returns:
        SHA-256 in hexadecimal.
    """
    whole = sha256()
    for part in parts:
        whole.update(len(part).to_bytes(_LENGTH_BYTES))
        whole.update(part)
    return whole.hexdigest()

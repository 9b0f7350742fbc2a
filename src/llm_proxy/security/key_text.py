"""How the secret of a virtual key is written, and how a mistyped one is known."""

import re
import secrets
import string
from zlib import crc32

PREFIX = "sk-llmp-"
# The least number of characters that 256 bits fit into.
_RANDOM_CHARACTERS = 43
_CHECK_CHARACTERS = 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTH = len(PREFIX) + _RANDOM_CHARACTERS + _CHECK_CHARACTERS
_SECRET = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM_CHARACTERS}}})([0-9A-Za-z]{{{_CHECK_CHARACTERS}}})"
)


def new_secret() -> str:
    """Make a secret of 256 random bits.

    Returns:
        The prefix, by which scanners find leaked secrets, 43 random characters, and
        their checksum: CRC-32 in base 62, as in the tokens of GitHub.
    """
    random = _base62(secrets.randbits(256), _RANDOM_CHARACTERS)
    return f"{PREFIX}{random}{_check(random)}"


def is_well_formed(text: str) -> bool:
    """Tell whether a text may be a secret, without asking anybody.

    Args:
        text: Anything, of any length; no more than a secret's length is looked at.

    Returns:
        False for whatever this service has never given out, mistyped secrets included.
    """
    if len(text) != _LENGTH:
        return False
    parts = _SECRET.fullmatch(text)
    return parts is not None and _check(parts[1]) == parts[2]


def _check(random: str) -> str:
    return _base62(crc32(random.encode("ascii")), _CHECK_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

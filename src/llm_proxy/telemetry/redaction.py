"""Keeps credentials out of log lines: a net under code that should not log them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MASK = "***"

# Ends of names, so that `api_token` is hidden and `input_tokens` is not.
_SECRET_NAME = re.compile(
    r"(?:api[_-]?key|private[_-]?key|authorization|token|secrets?|password|passwd"
    r"|credentials?|cookies?)$",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(rb"((?i:bearer\s+|api_token=)|\bsk-)[^\s\"'\\&,;]+")
_CONTAINERS = (dict, list, tuple)
_PLAIN = frozenset((str, int, float, bool, type(None)))


def mask_named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Hide what a name gives away as secret, at any depth.

    Args:
        fields: The fields of a log line; dicts, lists and tuples are looked into.

    Returns:
        A copy with ``***`` in place of each secret.
    """
    secret = _secret_names(tuple(fields))
    return {
        name: MASK
        if name in secret
        else (value if type(value) in _PLAIN else _mask(value))
        for name, value in fields.items()
    }


def mask_credentials(line: bytes) -> bytes:
    """Hide what looks like a credential, wherever it stands in a finished line.

    Args:
        line: One rendered log line; it stays valid JSON if it was.

    Returns:
        The line with ``***`` after ``Bearer``, ``api_token=`` and ``sk-``.
    """
    # The pattern costs more than all the rest of a line, and few lines need it.
    if b"earer" in line or b"_token=" in line or b"sk-" in line:
        return _CREDENTIAL.sub(rb"\1***", line)
    return line


def _mask(value: object) -> object:
    if not isinstance(value, _CONTAINERS):
        return value
    if isinstance(value, dict):
        return mask_named(value)
    return [_mask(item) for item in value]


@lru_cache(maxsize=1024)
def _secret_names(names: tuple[object, ...]) -> frozenset[object]:
    """The secret ones of a line's names; most lines have the same names as others."""
    return frozenset(name for name in names if _SECRET_NAME.search(str(name)))

"""Reads the pieces that all vendors' JSON has in common."""

from typing import Any

import orjson

from llm_proxy.wire.dialect import WireError


def read_object(body: bytes) -> dict[str, Any]:
    """Parse one JSON object, strictly.

    Args:
        body: UTF-8 JSON.

    Returns:
        The object.

    Raises:
        WireError: It is not JSON, or not an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise WireError("the body is not a JSON object")
    return value


def read_count(value: object) -> int:
    """Read a token count; nonsense (negative, absurd, no integer) counts as zero.

    Args:
        value: Whatever stood in the usage object.

    Returns:
        0 to 10**10.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**10:
        return value
    return 0


def read_text(value: object) -> str:
    """Read text that may be a string, null, or a list of typed parts.

    Args:
        value: A string, None, or parts like ``{"type": "text", "text": ...}``.

    Returns:
        The text of all text parts together.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [
        part["text"]
        for part in value
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    ]
    return "".join(texts)

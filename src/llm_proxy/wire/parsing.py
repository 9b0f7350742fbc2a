"""Parses JSON that can be written again."""

from typing import Any

import orjson

# orjson reads 1024 levels and writes 254; a translation puts some around a value.
_MOST_AROUND = 24
_FEW = 200
# Objects and lists of any sensible request; each takes a hundred times its bytes.
_MOST = 500_000


def parse_json(text: bytes | str) -> Any:  # noqa: ANN401 - JSON may be anything
    """Parse JSON whose values may be put into other JSON.

    Args:
        text: UTF-8 JSON.

    Returns:
        What it says.

    Raises:
        orjson.JSONDecodeError: It is not JSON, nested too deeply to be written, or has
            more objects and lists than any sensible request.
    """
    brackets = _brackets(text)
    if brackets > _MOST:
        raise orjson.JSONDecodeError("too many objects and lists", "", 0)
    value = orjson.loads(text)
    if brackets > _FEW and not _can_be_written(value):
        raise orjson.JSONDecodeError("nested too deeply", "", 0)
    return value


def _brackets(text: bytes | str) -> int:
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


def _can_be_written(value: object) -> bool:
    for _ in range(_MOST_AROUND):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True

"""Reads single values of a caller's JSON and names the field that is wrong.

Values themselves never stand in an error: they may be a prompt.
"""

import math
from collections.abc import Collection
from typing import Any

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError


def wrong(field: str, problem: str) -> InvalidInputError:
    """Make the error for a field that a caller has to mend.

    Args:
        field: Its path, such as ``messages.0.role``.
        problem: What it must be.

    Returns:
        The error.
    """
    return InvalidInputError(details=[{"field": field, "problem": problem}])


def unsupported(field: str, feature: str) -> UnsupportedFeatureError:
    """Make the error for a feature that cannot be translated.

    Args:
        field: The path of the field that asks for it.
        feature: What it is.

    Returns:
        The error.
    """
    return UnsupportedFeatureError(
        f"The model's provider does not support {feature}",
        details=[{"field": field, "problem": f"asks for {feature}"}],
    )


def take_object(value: object, field: str) -> dict[str, Any]:
    """Read an object.

    Args:
        value: What stood there.
        field: Where it stood.

    Returns:
        The object.

    Raises:
        InvalidInputError: It is something else.
    """
    if not isinstance(value, dict):
        raise wrong(field, "must be an object")
    return value


def take_list(value: object, field: str) -> list[Any]:
    """Read an array.

    Args:
        value: What stood there.
        field: Where it stood.

    Returns:
        The array.

    Raises:
        InvalidInputError: It is something else.
    """
    if not isinstance(value, list):
        raise wrong(field, "must be an array")
    return value


def take_text(value: object, field: str) -> str:
    """Read a string.

    Args:
        value: What stood there.
        field: Where it stood.

    Returns:
        The string.

    Raises:
        InvalidInputError: It is something else.
    """
    if not isinstance(value, str):
        raise wrong(field, "must be a string")
    return value


def take_optional_text(value: object, field: str) -> str:
    """Read a string that may be null or missing.

    Args:
        value: What stood there, None for nothing.
        field: Where it stood.

    Returns:
        The string; empty if there is none.

    Raises:
        InvalidInputError: It is something else.
    """
    return "" if value is None else take_text(value, field)


def take_flag(value: object, field: str) -> bool | None:
    """Read a boolean that may be null or missing.

    Args:
        value: What stood there, None for nothing.
        field: Where it stood.

    Returns:
        The boolean, or None.

    Raises:
        InvalidInputError: It is something else.
    """
    if value is not None and not isinstance(value, bool):
        raise wrong(field, "must be a boolean")
    return value


def take_integer(value: object, field: str, least: int, most: int) -> int | None:
    """Read an integer that may be null or missing.

    Args:
        value: What stood there, None for nothing.
        field: Where it stood.
        least: The smallest that is allowed.
        most: The greatest.

    Returns:
        The integer, or None.

    Raises:
        InvalidInputError: It is something else or out of bounds.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(field, "must be an integer")
    if not least <= value <= most:
        raise wrong(field, f"must be between {least} and {most}")
    return value


def take_number(value: object, field: str, least: float, most: float) -> float | None:
    """Read a number that may be null or missing.

    Args:
        value: What stood there, None for nothing.
        field: Where it stood.
        least: The smallest that is allowed.
        most: The greatest.

    Returns:
        The number, or None.

    Raises:
        InvalidInputError: It is something else or out of bounds.
    """
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong(field, "must be a number")
    if not (least <= value <= most and math.isfinite(value)):
        raise wrong(field, f"must be between {least:g} and {most:g}")
    return value


def take_one_of(value: object, field: str, names: Collection[str]) -> str:
    """Read one of a few names.

    Args:
        value: What stood there.
        field: Where it stood.
        names: Those that are allowed.

    Returns:
        The name.

    Raises:
        InvalidInputError: It is something else.
    """
    if not isinstance(value, str) or value not in names:
        raise wrong(field, f"must be one of {', '.join(names)}")
    return value

"""The two ways to write a schema for the Gemini API.

Source: the Gemini API reference, "Schema", and the guide "Structured outputs".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.json_schema import is_json_schema


def read_schema(
    openapi: Mapping[str, Any] | None, json_schema: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Take the one that is given.

    Args:
        openapi: A ``Schema``, a part of OpenAPI 3.0 whose types are in capitals.
        json_schema: A JSON schema.

    Returns:
        A JSON schema; None if neither is given.
    """
    if openapi is None:
        return json_schema
    converted: Mapping[str, Any] = _in_small_letters(openapi)
    return converted


def is_schema(schema: Mapping[str, Any] | None) -> bool:
    """Find out whether the vendor would take a schema.

    Args:
        schema: What `read_schema` returns.

    Returns:
        Whether it is one, or there is none.
    """
    return schema is None or is_json_schema(schema)


def _in_small_letters(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_in_small_letters(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: each.lower()
        if key == "type" and isinstance(each, str)
        else _in_small_letters(each)
        for key, each in value.items()
    }

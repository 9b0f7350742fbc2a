"""The part of JSON Schema to which the vendors can hold a model strictly.

Source: the OpenAI guide "Structured outputs", "Supported schemas".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_proxy.providers.sandbox.json_schema import is_json_schema

_Schema = Mapping[str, Any]
_MOST_LEVELS = 10


def find_fault(schema: _Schema, *, strict: bool) -> str | None:
    """Find what is wrong with a schema, in OpenAI's words.

    Args:
        schema: A JSON object.
        strict: It has to leave a model no freedom.

    Returns:
        What is wrong and where; None if it is a JSON schema, and strict if need be.
    """
    if not is_json_schema(schema):
        return "schema is not a valid JSON Schema of draft 2020-12."
    return find_looseness(schema) if strict else None


def find_looseness(schema: _Schema, *, all_required: bool = True) -> str | None:
    """Find where a schema leaves a model freedom that strict output does not know.

    Args:
        schema: A JSON schema.
        all_required: Also properties that may be left out are too much freedom.

    Returns:
        What is wrong and where, in OpenAI's words; None if the schema is strict.
    """
    if schema.get("type") != "object":
        kind = schema.get("type", "None")
        return (
            f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'."
        )
    for path, part in _objects_in(schema, ()):
        context = f"In context=({', '.join(map(repr, path))}),"
        if part.get("additionalProperties") is not False:
            return (
                f"{context} 'additionalProperties' is required to be supplied and to "
                "be false."
            )
        left_out = set(part.get("properties", ())) - set(part.get("required", ()))
        if all_required and left_out:
            return (
                f"{context} 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing '{min(left_out)}'."
            )
    return None


def _objects_in(
    schema: object, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], _Schema]]:
    """List the objects of a schema, the outermost first, with the way to each."""
    if not isinstance(schema, Mapping) or len(path) > _MOST_LEVELS:
        return
    if schema.get("type") == "object" or "properties" in schema:
        yield path, schema
    for keyword in ("properties", "$defs"):
        for name, part in schema.get(keyword, {}).items():
            yield from _objects_in(part, (*path, keyword, name))
    yield from _objects_in(schema.get("items"), (*path, "items"))
    for option in schema.get("anyOf", ()):
        yield from _objects_in(option, (*path, "anyOf"))

"""Which JSON schemas vendors can hold a model to.

Source: the guides "Structured outputs" of Anthropic ("JSON Schema limitations") and of
OpenAI ("Supported schemas"). Amazon Bedrock has Anthropic's rules.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llm_proxy.types import ChatRequest

_Schema = Mapping[str, Any]

# No vendor takes a schema as deep as this; what is below is theirs to refuse.
_MOST_LEVELS = 64
_NAMED_PARTS = ("properties", "$defs", "definitions")
_LISTED_PARTS = ("anyOf", "allOf")
_CLAUDE_KEYWORDS = frozenset(
    {
        *("$ref", "$defs", "definitions", "title", "description", "type", "enum"),
        *("const", "anyOf", "allOf", "properties", "required", "items"),
    }
)
_CLAUDE_FORMATS = (
    *("date-time", "time", "date", "duration", "email", "hostname", "uri"),
    *("ipv4", "ipv6", "uuid"),
)
_STRICT_KEYWORDS = frozenset(
    {
        *("$schema", "$id", "$defs", "definitions", "title", "description", "type"),
        *("enum", "const", "anyOf", "properties", "required", "additionalProperties"),
        *("items", "minItems", "maxItems", "minLength", "maxLength", "pattern"),
        *("format", "multipleOf", "minimum", "maximum", "exclusiveMinimum"),
        "exclusiveMaximum",
    }
)
_STRICT_FORMATS = tuple(name for name in _CLAUDE_FORMATS if name != "uri")


def close_schema(schema: _Schema) -> _Schema:
    """Write a schema so that Claude's structured output takes it.

    Args:
        schema: A JSON schema.

    Returns:
        A schema all of whose objects have no properties but the named ones. What the
        API refuses is told to the model in the ``description``. Parts more than 64
        levels down are as they were.
    """
    return _close_mapping(schema, _MOST_LEVELS)


def is_strict_schema(schema: _Schema) -> bool:
    """Find out whether OpenAI's structured output takes a schema with ``strict``.

    Args:
        schema: A JSON schema.

    Returns:
        Whether it is an object, leaves the model no freedom to add or leave out a
        property, and has only keywords that are known to be taken.
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        return False
    waiting: list[object] = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or not _is_strict_part(part):
            return False
        waiting += _parts_of(part)
    return True


def loses_strictness(request: ChatRequest) -> bool:
    """Find out whether a request is strict where OpenAI's strictness is impossible.

    Args:
        request: What to ask.

    Returns:
        Whether it wants a schema obeyed strictly that is not strict.
    """
    form = request.response_format
    schemas = [
        tool.parameters or {}
        for tool in request.tools
        if tool.strict and not tool.custom
    ]
    if form is not None and form.schema is not None and form.strict:
        schemas.append(form.schema)
    return not all(map(is_strict_schema, schemas))


def _close(schema: object, levels: int) -> object:
    if not levels or not isinstance(schema, Mapping):
        return schema
    return _close_mapping(schema, levels)


def _close_mapping(schema: _Schema, levels: int) -> dict[str, Any]:
    closed: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for keyword, value in _as_any_of(schema).items():
        if _claude_takes(keyword, value):
            closed[keyword] = _close_value(keyword, value, levels - 1)
        elif not _says_nothing(keyword, value):
            told[keyword] = value
    if _is_object(schema):
        closed["additionalProperties"] = False
    if told:
        rules = orjson.dumps(told).decode()
        description = closed.get("description")
        closed["description"] = f"{description}\n\n{rules}" if description else rules
    return closed


def _as_any_of(schema: _Schema) -> _Schema:
    """Say with ``anyOf`` what Claude does not take in other words.

    That is ``oneOf``, a single part of ``allOf``, and ``$ref`` with neighbours.
    """
    if "anyOf" in schema:
        return schema
    rest = dict(schema)
    if "oneOf" in rest:
        return {"anyOf": rest.pop("oneOf"), **rest}
    if isinstance(rest.get("allOf"), list) and len(rest["allOf"]) == 1:
        return {"anyOf": rest.pop("allOf"), **rest}
    if "$ref" in rest and rest.keys() - {"$ref", "$schema", "$defs", "definitions"}:
        return {"anyOf": [{"$ref": rest.pop("$ref")}], **rest}
    return schema


def _claude_takes(keyword: str, value: object) -> bool:
    match keyword:
        case "format":
            return value in _CLAUDE_FORMATS
        case "minItems":
            return value in (0, 1)
        case "enum":
            values = value if isinstance(value, list) else ()
            mixed = any(isinstance(each, Mapping | list) for each in values)
            return bool(values) and not mixed
        case "const":
            return not isinstance(value, Mapping | list)
        case "items":
            return isinstance(value, Mapping | bool)
        case _:
            return keyword in _CLAUDE_KEYWORDS


def _says_nothing(keyword: str, value: object) -> bool:
    """Find out whether a keyword is no news to a model."""
    if keyword == "additionalProperties":
        return isinstance(value, bool)
    return keyword == "$schema"


def _close_value(keyword: str, value: Any, levels: int) -> Any:  # noqa: ANN401
    if keyword in _NAMED_PARTS and isinstance(value, Mapping):
        return {name: _close(part, levels) for name, part in value.items()}
    if keyword in _LISTED_PARTS and isinstance(value, list):
        return [_close(part, levels) for part in value]
    return _close(value, levels) if keyword == "items" else value


def _is_strict_part(part: _Schema) -> bool:
    if "$ref" in part:
        return len(part) == 1
    return (
        part.keys() <= _STRICT_KEYWORDS
        and ("type" in part or "anyOf" in part)
        and ("items" in part or "array" not in _types_of(part))
        and part.get("format", "date") in _STRICT_FORMATS
        and (not _is_object(part) or _is_strict_object(part))
    )


def _is_strict_object(part: _Schema) -> bool:
    properties, required = part.get("properties"), part.get("required", [])
    return (
        part.get("additionalProperties") is False
        and isinstance(properties, Mapping)
        and isinstance(required, list)
        and {name for name in required if isinstance(name, str)} == properties.keys()
    )


def _is_object(schema: _Schema) -> bool:
    named = "properties" in schema or "additionalProperties" in schema
    return named or "object" in _types_of(schema)


def _types_of(schema: _Schema) -> list[Any]:
    types = schema.get("type")
    return types if isinstance(types, list) else [types]


def _parts_of(schema: _Schema) -> Iterator[object]:
    """List the schemas directly in one."""
    for keyword in _NAMED_PARTS:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from named.values()
    if isinstance(listed := schema.get("anyOf"), list):
        yield from listed
    if "items" in schema:
        yield schema["items"]

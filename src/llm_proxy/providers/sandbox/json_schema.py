"""What makes a JSON object a JSON schema.

Source: JSON Schema, draft 2020-12; only the keywords that the sandbox understands.
"""

import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

_Type = Literal["object", "array", "string", "number", "integer", "boolean", "null"]
_Length = Annotated[int, Field(ge=0)]
_SubSchema: TypeAlias = "_Schema | bool"

_Schema = TypedDict(
    "_Schema",
    {
        "$ref": str,
        "$defs": dict[str, "_SubSchema"],
        "type": _Type | list[_Type],
        "enum": list[Any],
        "format": str,
        "properties": dict[str, "_SubSchema"],
        "required": list[str],
        "additionalProperties": "_SubSchema",
        "items": "_SubSchema",
        "prefixItems": list["_SubSchema"],
        "anyOf": Annotated[list["_SubSchema"], Field(min_length=1)],
        "oneOf": Annotated[list["_SubSchema"], Field(min_length=1)],
        "allOf": Annotated[list["_SubSchema"], Field(min_length=1)],
        "minLength": _Length,
        "maxLength": _Length,
        "minItems": _Length,
        "maxItems": _Length,
        "minimum": FiniteFloat,
        "maximum": FiniteFloat,
        "exclusiveMinimum": FiniteFloat,
        "exclusiveMaximum": FiniteFloat,
        "multipleOf": Annotated[FiniteFloat, Field(gt=0)],
    },
    total=False,
)
_ADAPTER: TypeAdapter[Any] = TypeAdapter(_Schema)


def is_json_schema(value: object) -> bool:
    """Find out whether a value is a JSON schema.

    Args:
        value: A JSON value.

    Returns:
        Whether every keyword in it has a value that the keyword can have.
    """
    try:
        json.dumps(value, allow_nan=False)
        _ADAPTER.validate_python(value, strict=True)
    except (ValidationError, ValueError, OverflowError):
        return False
    return True

"""What OpenAI's API can be told about the form of an answer.

Source: the OpenAI API reference, "Create chat completion", ``response_format``.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.openai.messages import Message, text_of
from llm_proxy.providers.sandbox.openai.tools import ToolName
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.strict_schema import find_fault

_ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}


class _JSONSchema(Strict):
    name: ToolName
    description: str | None = None
    definition: dict[str, Any] = Field(default_factory=dict, alias="schema")
    strict: bool | None = None


class _TextFormat(Strict):
    type: Literal["text"]


class _ObjectFormat(Strict):
    type: Literal["json_object"]


class _SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: _JSONSchema


ResponseFormat = Annotated[
    _TextFormat | _ObjectFormat | _SchemaFormat, Field(discriminator="type")
]


def check_format(
    response_format: ResponseFormat | None, messages: Sequence[Message]
) -> Problem | None:
    """Find what is wrong with a format that is well-formed.

    Args:
        response_format: The format.
        messages: The chat.

    Returns:
        A schema that is none, or is to be strict and is not; any JSON object without
        a word about JSON.
    """
    if isinstance(response_format, _ObjectFormat):
        if any("json" in text_of(message).lower() for message in messages):
            return None
        message = (
            "'messages' must contain the word 'json' in some form, to use "
            "'response_format' of type 'json_object'."
        )
        return Problem(400, message, param="messages")
    if isinstance(response_format, _SchemaFormat):
        schema = response_format.json_schema
        found = find_fault(schema.definition, strict=bool(schema.strict))
        if found is not None:
            message = f"Invalid schema for response_format '{schema.name}': {found}"
            return Problem(400, message, param="response_format")
    return None


def schema_of(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    """Find the schema that the answer has to obey.

    Args:
        response_format: The format.

    Returns:
        The schema; None if the answer may be any text.
    """
    if isinstance(response_format, _ObjectFormat):
        return _ANY_OBJECT
    if isinstance(response_format, _SchemaFormat):
        return response_format.json_schema.definition
    return None

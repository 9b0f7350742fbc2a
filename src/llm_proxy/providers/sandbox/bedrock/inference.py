"""What Converse can be told about an answer.

Source: the Amazon Bedrock API reference, "InferenceConfiguration", "OutputConfig" and
"GuardrailConfiguration".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from llm_proxy.providers.sandbox.bedrock.structure import OneOf, Structure
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.json_schema import is_json_schema
from llm_proxy.providers.sandbox.strict_schema import find_looseness


class InferenceConfig(Structure):
    """How to choose words."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop_sequences: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, max_length=2500
    )


class GuardrailConfig(Structure):
    """What looks at the conversation."""

    guardrail_identifier: Annotated[
        str,
        Field(
            pattern=r"^(|[a-z0-9]+|arn:aws(-[^:]+)?:bedrock:\S+:guardrail/[a-z0-9]+)$"
        ),
    ]
    guardrail_version: Annotated[str, Field(pattern=r"^(|[1-9][0-9]{0,7}|DRAFT)$")]
    trace: Literal["enabled", "disabled", "enabled_full"] | None = None
    stream_processing_mode: Literal["sync", "async"] | None = None


class _JSONSchema(Structure):
    definition: Annotated[str, Field(alias="schema")]
    name: str | None = None
    description: str | None = None


class _FormatStructure(OneOf):
    json_schema: _JSONSchema


class _TextFormat(Structure):
    type: Literal["json_schema"]
    structure: _FormatStructure


class OutputConfig(Structure):
    """The form of an answer, and how hard to try."""

    text_format: _TextFormat | None = None
    effort: Annotated[str, Field(max_length=16)] | None = None

    @property
    def schema_to_obey(self) -> Mapping[str, Any] | None:
        """The schema that the answer has to obey; None if it may be any text.

        Raises:
            orjson.JSONDecodeError: It is not JSON.
        """
        if self.text_format is None:
            return None
        schema: Mapping[str, Any] = orjson.loads(
            self.text_format.structure.json_schema.definition
        )
        return schema


def check_output(config: OutputConfig) -> Problem | None:
    """Find what is wrong with the form of an answer.

    Args:
        config: What is said about it.

    Returns:
        A problem if there is a schema that is none, or leaves something open.
    """
    path = "outputConfig.textFormat.structure.jsonSchema.schema"
    try:
        schema = config.schema_to_obey
    except orjson.JSONDecodeError:
        return Problem(400, f"The value at {path} is not JSON.")
    if schema is None:
        return None
    if not is_json_schema(schema):
        message = f"The value at {path} must match JSON Schema draft 2020-12."
        return Problem(400, message)
    found = find_looseness(schema, all_required=False)
    return Problem(400, f"{path}: {found}") if found else None

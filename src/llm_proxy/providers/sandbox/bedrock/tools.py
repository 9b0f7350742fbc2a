"""The tools of a conversation, as Converse takes them.

Source: the Amazon Bedrock API reference, "ToolConfiguration".
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.bedrock.blocks import CachePoint, ToolName
from llm_proxy.providers.sandbox.bedrock.structure import OneOf, Structure
from llm_proxy.providers.sandbox.conversation import Tool
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.json_schema import is_json_schema
from llm_proxy.providers.sandbox.strict_schema import find_looseness

Mode = Literal["auto", "none", "required"]


class _InputSchema(OneOf):
    definition: Annotated[dict[str, Any], Field(alias="json")]


class _ToolSpec(Structure):
    name: ToolName
    input_schema: _InputSchema
    description: Annotated[str, Field(min_length=1)] | None = None
    strict: bool = False


class _SystemTool(Structure):
    name: ToolName


class _ToolEntry(OneOf):
    tool_spec: _ToolSpec | None = None
    system_tool: _SystemTool | None = None
    cache_point: CachePoint | None = None


class _NoFields(Structure):
    pass


class _NamedTool(Structure):
    name: ToolName


class _ToolChoice(OneOf):
    auto: _NoFields | None = None
    some: Annotated[_NoFields | None, Field(alias="any")] = None
    tool: _NamedTool | None = None


class ToolConfig(Structure):
    """Tools, and what is said about calling them."""

    tools: list[_ToolEntry] = Field(min_length=1)
    tool_choice: _ToolChoice | None = None

    @property
    def specs(self) -> list[_ToolSpec]:
        """The tools that the caller runs."""
        return [entry.tool_spec for entry in self.tools if entry.tool_spec]

    @property
    def forces_call(self) -> bool:
        """Whether some tool, or a certain one, has to be called."""
        return self.tool_choice is not None and self.tool_choice.auto is None

    @property
    def cache_points(self) -> int:
        """How many there are."""
        return sum(entry.cache_point is not None for entry in self.tools)


def check_tools(config: ToolConfig | None) -> Problem | None:
    """Find what is wrong with tools that are well-formed.

    Args:
        config: The tools.

    Returns:
        Nothing but cache points, two tools of one name, a schema that is none, or a
        choice of an unknown tool.
    """
    if config is None:
        return None
    if config.tools[0].cache_point is not None:
        return Problem(400, "A cachePoint cannot be the first of toolConfig.tools.")
    names = [spec.name for spec in config.specs]
    for name in names:
        if names.count(name) > 1:
            return Problem(400, f"The tool name {name} is used more than once.")
    named = config.tool_choice.tool if config.tool_choice else None
    if named and named.name not in names:
        return Problem(
            400,
            "The tool in toolConfig.toolChoice.tool.name is not in toolConfig.tools.",
        )
    return next(filter(None, map(_check_schema, range(len(names)), config.specs)), None)


def choose(config: ToolConfig | None) -> tuple[tuple[Tool, ...], Mode]:
    """Find out which tools may be called.

    Args:
        config: All tools.

    Returns:
        The ones that are left, and whether one has to be called.
    """
    specs: Sequence[_ToolSpec] = config.specs if config else ()
    offered = tuple(Tool(each.name, each.input_schema.definition) for each in specs)
    if config is None or not config.forces_call:
        return offered, "auto"
    named = config.tool_choice.tool if config.tool_choice else None
    if named is None:
        return offered, "required"
    return tuple(tool for tool in offered if tool.name == named.name), "required"


def _check_schema(place: int, spec: _ToolSpec) -> Problem | None:
    path = f"toolConfig.tools.{place}.toolSpec.inputSchema.json"
    schema = spec.input_schema.definition
    if schema.get("type") != "object":
        return Problem(
            400, f"The value at {path}.type must be one of the following: object."
        )
    if not is_json_schema(schema):
        return Problem(
            400,
            f"The value at {path} must match JSON Schema draft 2020-12. Correct the "
            "schema, and try again.",
        )
    found = find_looseness(schema, all_required=False) if spec.strict else None
    return Problem(400, f"{path}: {found}") if found else None

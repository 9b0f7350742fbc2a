"""The tools of a conversation, as Anthropic's API takes them.

Source: the Anthropic API reference, "Create a message", ``tools`` and ``tool_choice``.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.anthropic.blocks import CacheControl
from llm_proxy.providers.sandbox.anthropic.schemas import check_schema
from llm_proxy.providers.sandbox.conversation import Tool
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.strict import Strict


def _check_type(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise PydanticCustomError("schema", "type: Input should be 'object'")
    return schema


class CustomTool(Strict):
    """A tool that the caller runs."""

    type: Literal["custom"] | None = None
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    input_schema: Annotated[dict[str, Any], AfterValidator(_check_type)]
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None

    def offer(self) -> Tool:
        """What the model is told."""
        return Tool(self.name, self.input_schema)


class _VendorTool(BaseModel):
    """A tool whose schema the vendor knows, such as ``web_search_20250305``."""

    model_config = ConfigDict(strict=True, extra="allow")

    type: str = Field(pattern=r"^[a-z0-9_]+_20\d{6}$|^mcp_toolset$|^tool_search_tool_")
    name: str | None = None
    cache_control: CacheControl | None = None


def _kind_of(tool: object) -> str:
    type_ = tool.get("type") if isinstance(tool, dict) else None
    return "custom" if type_ in (None, "custom") else "vendor"


ToolDefinition = Annotated[
    Annotated[CustomTool, Tag("custom")] | Annotated[_VendorTool, Tag("vendor")],
    Discriminator(_kind_of),
]


class _Auto(Strict):
    type: Literal["auto", "any"]
    disable_parallel_tool_use: bool = False


class _NoTool(Strict):
    type: Literal["none"]


class _NamedTool(Strict):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool = False


ToolChoice = Annotated[_Auto | _NoTool | _NamedTool, Field(discriminator="type")]
Mode = Literal["auto", "none", "required"]


def check_tools(
    tools: Sequence[ToolDefinition], choice: ToolChoice | None
) -> Problem | None:
    """Find what is wrong with tools that are well-formed.

    Args:
        tools: The tools.
        choice: Which of them to call.

    Returns:
        Two tools of one name, a schema that is none, or a choice without tools or of
        an unknown one.
    """
    names = [tool.name for tool in tools if tool.name]
    if len(set(names)) < len(names):
        return Problem(400, "tools: Tool names must be unique.")
    for place, tool in enumerate(tools):
        problem = _check_tool(place, tool)
        if problem is not None:
            return problem
    return _check_choice(names, choice)


def _check_tool(place: int, tool: ToolDefinition) -> Problem | None:
    if not isinstance(tool, CustomTool):
        return None
    path = f"tools.{place}.custom.input_schema"
    return check_schema(path, tool.input_schema, strict=bool(tool.strict))


def _check_choice(names: Sequence[str], choice: ToolChoice | None) -> Problem | None:
    if choice is None:
        return None
    if not names:
        return Problem(
            400, "tool_choice: tool_choice may only be specified while providing tools"
        )
    if isinstance(choice, _NamedTool) and choice.name not in names:
        return Problem(
            400, f"tool_choice: Tool '{choice.name}' not found in provided tools"
        )
    return None


def choose(
    tools: Sequence[ToolDefinition], choice: ToolChoice | None
) -> tuple[tuple[Tool, ...], Mode]:
    """Find out which tools may be called.

    Args:
        tools: All tools.
        choice: What is said about calling them.

    Returns:
        Those that the caller runs and that are left, and whether one has to be called.
    """
    offered = tuple(tool.offer() for tool in tools if isinstance(tool, CustomTool))
    if isinstance(choice, _NamedTool):
        chosen = tuple(tool for tool in offered if tool.name == choice.name)
        return chosen, "required"
    if isinstance(choice, _NoTool):
        return offered, "none"
    required = choice is not None and choice.type == "any"
    return offered, "required" if required else "auto"


def forces_call(choice: ToolChoice | None) -> bool:
    """Find out whether a choice leaves no way around a call.

    Args:
        choice: What is said about calling tools.

    Returns:
        Whether some tool, or a certain one, has to be called.
    """
    return choice is not None and choice.type in ("any", "tool")


def allows_parallel(choice: ToolChoice | None) -> bool:
    """Find out whether several calls at once are allowed.

    Args:
        choice: What is said about calling tools.

    Returns:
        Whether they are.
    """
    return not (
        isinstance(choice, _Auto | _NamedTool) and choice.disable_parallel_tool_use
    )

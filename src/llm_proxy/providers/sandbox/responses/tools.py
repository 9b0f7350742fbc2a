"""Tools of a response, and what is said about calling them.

Of the vendor's own tools the sandbox takes web search, and never uses it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llm_proxy.providers.sandbox.conversation import Tool
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.openai.tools import ToolName
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.strict_schema import find_looseness

Mode = Literal["none", "auto", "required"]


class _Tool(Strict):
    name: ToolName
    description: str | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None


class _FunctionTool(_Tool):
    type: Literal["function"]
    parameters: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    strict: bool | None = None

    def offer(self) -> Tool:
        """What the model is told."""
        return Tool(self.name, self.parameters or {})


class _CustomTool(_Tool):
    type: Literal["custom"]
    format: dict[str, Any] | None = None

    def offer(self) -> Tool:
        """What the model is told."""
        return Tool(self.name, None)


_OwnTool = Annotated[_FunctionTool | _CustomTool, Field(discriminator="type")]


class _Namespace(Strict):
    type: Literal["namespace"]
    name: ToolName
    description: str
    tools: list[_OwnTool]


class _WebSearch(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    type: Literal[
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    ]


class _Mode(Strict):
    type: Mode


class _Named(Strict):
    type: Literal["function", "custom"]
    name: str


class _Allowed(Strict):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[_Named] = Field(min_length=1)


def _as_mode(choice: object) -> object:
    return {"type": choice} if isinstance(choice, str) else choice


ToolDefinition = Annotated[
    _FunctionTool | _CustomTool | _Namespace | _WebSearch, Field(discriminator="type")
]
ToolChoice = Annotated[
    Annotated[_Mode | _Named | _Allowed, Field(discriminator="type")],
    BeforeValidator(_as_mode),
]


def check_tools(
    tools: Sequence[ToolDefinition], choice: ToolChoice | None
) -> Problem | None:
    """Find what is wrong with tools that are well-formed.

    Args:
        tools: The tools.
        choice: Which of them to call.

    Returns:
        A choice of an unknown tool, or a strict tool whose schema is not.
    """
    own = list(_own_tools(tools))
    for name in _names_in(choice) - {tool.name for _, _, tool in own}:
        message = f"Tool choice '{name}' not found in 'tools' parameter."
        return Problem(400, message, param="tool_choice")
    for place, _, tool in own:
        if isinstance(tool, _FunctionTool) and tool.strict:
            found = find_looseness(tool.parameters or {})
            if found is not None:
                return Problem(
                    400,
                    f"Invalid schema for function '{tool.name}': {found}",
                    code="invalid_function_parameters",
                    param=f"{place}.parameters",
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
        The ones that are left, and whether one has to be called.
    """
    offered = tuple(
        replace(tool.offer(), namespace=namespace)
        for _, namespace, tool in _own_tools(tools)
    )
    if choice is None:
        return offered, "auto"
    if isinstance(choice, _Mode):
        return offered, choice.type
    names = _names_in(choice)
    mode: Mode = choice.mode if isinstance(choice, _Allowed) else "required"
    return tuple(tool for tool in offered if tool.name in names), mode


def _own_tools(
    tools: Sequence[ToolDefinition],
) -> Iterator[tuple[str, str | None, _OwnTool]]:
    """List what the caller runs, with the place and the namespace of each."""
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if isinstance(tool, _Namespace):
            for inner, member in enumerate(tool.tools):
                yield f"{place}.tools[{inner}]", tool.name, member
        elif not isinstance(tool, _WebSearch):
            yield place, None, tool


def _names_in(choice: ToolChoice | None) -> set[str]:
    if isinstance(choice, _Named):
        return {choice.name}
    if isinstance(choice, _Allowed):
        return {tool.name for tool in choice.tools}
    return set()

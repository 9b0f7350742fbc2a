"""The tools of a chat, as OpenAI's API takes them.

Source: the OpenAI API reference, "Create chat completion", ``tools`` and
``tool_choice``.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.conversation import Tool
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.strict_schema import find_fault

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class _Function(Strict):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _FunctionTool(Strict):
    type: Literal["function"]
    function: _Function

    def offer(self) -> Tool:
        """What the model is told."""
        return Tool(self.function.name, self.function.parameters or {})


class _Custom(Strict):
    name: ToolName
    description: str | None = None
    format: dict[str, Any] | None = None


class _CustomTool(Strict):
    type: Literal["custom"]
    custom: _Custom

    def offer(self) -> Tool:
        """What the model is told."""
        return Tool(self.custom.name, None)


ToolDefinition = Annotated[_FunctionTool | _CustomTool, Field(discriminator="type")]


class _Mode(Strict):
    type: Literal["none", "auto", "required"]


class _Named(Strict):
    name: str


class _NamedFunction(Strict):
    type: Literal["function"]
    function: _Named


class _NamedCustom(Strict):
    type: Literal["custom"]
    custom: _Named


_Choice = Annotated[_NamedFunction | _NamedCustom, Field(discriminator="type")]


class _AllowedTools(Strict):
    mode: Literal["auto", "required"]
    tools: list[_Choice] = Field(min_length=1)


class _Allowed(Strict):
    type: Literal["allowed_tools"]
    allowed_tools: _AllowedTools


def _as_mode(choice: object) -> object:
    return {"type": choice} if isinstance(choice, str) else choice


ToolChoice = Annotated[
    Annotated[
        _Mode | _NamedFunction | _NamedCustom | _Allowed, Field(discriminator="type")
    ],
    BeforeValidator(_as_mode),
]
Mode = Literal["none", "auto", "required"]


def check_tools(
    tools: Sequence[ToolDefinition] | None, choice: ToolChoice | None
) -> Problem | None:
    """Find what is wrong with tools that are well-formed.

    Args:
        tools: The tools.
        choice: Which of them to call.

    Returns:
        A choice without tools or of an unknown one, or a tool whose schema is none, or
        is to be strict and is not.
    """
    if tools is None:
        if choice is None:
            return None
        message = "'tool_choice' is only allowed when 'tools' are specified."
        return Problem(400, message, param="tool_choice")
    offered = {tool.offer().name for tool in tools}
    for name in _names_in(choice):
        if name not in offered:
            message = f"Tool choice '{name}' not found in 'tools' parameter."
            return Problem(400, message, param="tool_choice")
    return next(filter(None, map(_check_schema, range(len(tools)), tools)), None)


def choose(
    tools: Sequence[ToolDefinition] | None, choice: ToolChoice | None
) -> tuple[tuple[Tool, ...], Mode]:
    """Find out which tools may be called.

    Args:
        tools: All tools.
        choice: What is said about calling them.

    Returns:
        The ones that are left, and whether one has to be called.
    """
    offered = tuple(tool.offer() for tool in tools or ())
    if choice is None:
        return offered, "auto"
    if isinstance(choice, _Mode):
        return offered, choice.type
    names = _names_in(choice)
    mode: Mode = (
        choice.allowed_tools.mode if isinstance(choice, _Allowed) else "required"
    )
    return tuple(tool for tool in offered if tool.name in names), mode


def _names_in(choice: ToolChoice | None) -> list[str]:
    if isinstance(choice, _Allowed):
        return [name for each in choice.allowed_tools.tools for name in _names_in(each)]
    if isinstance(choice, _NamedFunction):
        return [choice.function.name]
    return [choice.custom.name] if isinstance(choice, _NamedCustom) else []


def _check_schema(place: int, tool: ToolDefinition) -> Problem | None:
    if not isinstance(tool, _FunctionTool):
        return None
    function = tool.function
    found = find_fault(function.parameters or {}, strict=bool(function.strict))
    if found is None or function.parameters is None:
        return None
    return Problem(
        400,
        f"Invalid schema for function '{function.name}': {found}",
        code="invalid_function_parameters",
        param=f"tools[{place}].function.parameters",
    )

"""The tools of a conversation, as the Gemini API takes them.

Source: the Gemini API reference, "Tool" and "ToolConfig".
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.conversation import Tool
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.gemini.contents import FunctionName
from llm_proxy.providers.sandbox.gemini.json_form import JSONForm
from llm_proxy.providers.sandbox.gemini.mistakes import invalid
from llm_proxy.providers.sandbox.gemini.schemas import is_schema, read_schema

Mode = Literal["auto", "none", "required"]


class _FunctionDeclaration(JSONForm):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    behavior: Literal["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"] | None = None

    def offer(self) -> Tool:
        """What the model is told."""
        schema = read_schema(self.parameters, self.parameters_json_schema)
        return Tool(self.name, schema or {})


class ToolSet(JSONForm):
    """Functions of the caller's, and tools that the vendor runs itself."""

    function_declarations: list[_FunctionDeclaration] = Field(default_factory=list)
    code_execution: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    file_search: dict[str, Any] | None = None
    google_maps: dict[str, Any] | None = None
    google_search: dict[str, Any] | None = None
    google_search_retrieval: dict[str, Any] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    url_context: dict[str, Any] | None = None


class _FunctionCallingConfig(JSONForm):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "NONE", "ANY", "VALIDATED"] = "AUTO"
    allowed_function_names: list[FunctionName] = Field(default_factory=list)


class ToolConfig(JSONForm):
    """What is said about calling tools."""

    function_calling_config: _FunctionCallingConfig | None = None
    retrieval_config: dict[str, Any] | None = None
    include_server_side_tool_invocations: bool | None = None


def check_tools(
    tool_sets: Sequence[ToolSet], config: ToolConfig | None
) -> Problem | None:
    """Find what is wrong with tools that are well-formed.

    Args:
        tool_sets: The tools.
        config: What is said about calling them.

    Returns:
        Two functions of one name, a schema that is none or comes twice, or a choice
        without functions or of an unknown one.
    """
    names: set[str] = set()
    for place, tool_set in enumerate(tool_sets):
        for index, function in enumerate(tool_set.function_declarations):
            path = f"tools[{place}].function_declarations[{index}]"
            problem = _check_function(function, path)
            if problem is not None:
                return problem
            if function.name in names:
                message = f"Duplicate function declaration found: {function.name}"
                return Problem(400, message)
            names.add(function.name)
    calling = config.function_calling_config if config else None
    return _check_choice(names, calling) if calling else None


def choose(
    tool_sets: Sequence[ToolSet], config: ToolConfig | None
) -> tuple[tuple[Tool, ...], Mode]:
    """Find out which functions may be called.

    Args:
        tool_sets: All tools.
        config: What is said about calling them.

    Returns:
        The ones that are left, and whether one has to be called.
    """
    offered = tuple(
        function.offer()
        for tool_set in tool_sets
        for function in tool_set.function_declarations
    )
    calling = config.function_calling_config if config else None
    if calling is None:
        return offered, "auto"
    allowed = calling.allowed_function_names or [tool.name for tool in offered]
    modes: dict[str, Mode] = {"NONE": "none", "ANY": "required"}
    chosen = tuple(tool for tool in offered if tool.name in allowed)
    return chosen, modes.get(calling.mode, "auto")


def _check_function(function: _FunctionDeclaration, path: str) -> Problem | None:
    if function.parameters is not None and function.parameters_json_schema is not None:
        rule = "only one of parameters and parameters_json_schema may be set."
        return invalid(path, rule)
    if not is_schema(function.offer().schema):
        return invalid(f"{path}.parameters", "schema is not valid.")
    return None


def _check_choice(names: set[str], calling: _FunctionCallingConfig) -> Problem | None:
    if not names:
        return Problem(
            400, "Function calling config is set without function_declarations."
        )
    if not calling.allowed_function_names:
        return None
    path = "tool_config.function_calling_config.allowed_function_names"
    if calling.mode not in ("ANY", "VALIDATED"):
        rule = "allowed_function_names can only be set when the mode is ANY."
        return invalid(path, rule)
    if not names.issuperset(calling.allowed_function_names):
        return invalid(path, "all names must be among the function_declarations.")
    return None

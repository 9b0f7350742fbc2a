"""Tools and the choice among them, read from callers and written for upstreams.

Source: the OpenAI API reference, "Chat completions", ``tools``, ``tool_choice``, and
the older ``functions`` and ``function_call``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_proxy.types import CacheTTL, Tool, ToolChoice
from llm_proxy.wire.free_text import as_function
from llm_proxy.wire.json_schema import is_strict_schema
from llm_proxy.wire.openai_chat.fields import (
    take_flag,
    take_list,
    take_object,
    take_one_of,
    take_optional_text,
    take_text,
    unsupported,
    wrong,
)
from llm_proxy.wire.openai_chat.parts import read_cache, write_cache

_MODES = ("auto", "none", "required")


def read_tools(fields: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Read what a caller lets the model call.

    Args:
        fields: The caller's JSON.

    Returns:
        The tools; of ``allowed_tools`` only those that are allowed.

    Raises:
        InvalidInputError: Something is no tool.
        UnsupportedFeatureError: A tool is one that the vendor runs.
    """
    found: list[Tool] = []
    if fields.get("tools") is not None:
        for index, tool in enumerate(take_list(fields["tools"], "tools")):
            found.append(_read_tool(tool, f"tools.{index}"))
    if fields.get("functions") is not None:
        for index, function in enumerate(take_list(fields["functions"], "functions")):
            found.append(_read_function(function, f"functions.{index}"))
    allowed = _allowed_names(fields.get("tool_choice"))
    if allowed is None:
        return tuple(found)
    return tuple([tool for tool in found if tool.name in allowed])


def read_tool_choice(fields: Mapping[str, Any]) -> ToolChoice | None:
    """Read whether the model has to call a tool.

    Args:
        fields: The caller's JSON.

    Returns:
        The choice; None if the caller leaves it open.

    Raises:
        InvalidInputError: It is no choice.
    """
    choice = fields.get("tool_choice")
    if choice is None:
        return _read_function_choice(fields.get("function_call"))
    if isinstance(choice, str):
        return _read_mode(choice, "tool_choice", _MODES)
    choice = take_object(choice, "tool_choice")
    kind = take_one_of(
        choice.get("type"), "tool_choice.type", ("function", "custom", "allowed_tools")
    )
    inner = take_object(choice.get(kind), f"tool_choice.{kind}")
    if kind == "allowed_tools":
        field = "tool_choice.allowed_tools.mode"
        return _read_mode(inner.get("mode"), field, ("auto", "required"))
    return ToolChoice("named", take_text(inner.get("name"), f"tool_choice.{kind}.name"))


def custom_names(fields: Mapping[str, Any]) -> frozenset[str]:
    """Say which of a caller's tools take free text.

    Args:
        fields: The caller's JSON, already found to be sound.

    Returns:
        Their names.
    """
    tools = fields.get("tools")
    if not tools:
        return frozenset()
    return frozenset(
        tool["custom"]["name"] for tool in tools if tool.get("type") == "custom"
    )


def _read_tool(tool: object, field: str) -> Tool:
    tool = take_object(tool, field)
    kind = take_text(tool.get("type"), f"{field}.type")
    if kind == "function":
        function = tool.get("function")
        return _read_function(function, f"{field}.function", read_cache(tool, field))
    if kind == "custom":
        return _read_custom(tool.get("custom"), f"{field}.custom")
    name = kind if kind.isidentifier() and len(kind) < 40 else "unknown"
    raise unsupported(f"{field}.type", f"tools of type {name!r}")


def _read_function(function: object, field: str, cache: CacheTTL | None = None) -> Tool:
    function = take_object(function, field)
    parameters = function.get("parameters")
    if parameters is not None:
        parameters = take_object(parameters, f"{field}.parameters")
    return Tool(
        name=take_text(function.get("name"), f"{field}.name"),
        description=take_optional_text(
            function.get("description"), f"{field}.description"
        ),
        parameters=parameters,
        strict=take_flag(function.get("strict"), f"{field}.strict"),
        cache=cache,
    )


def _read_custom(custom: object, field: str) -> Tool:
    custom = take_object(custom, field)
    return Tool(
        name=take_text(custom.get("name"), f"{field}.name"),
        description=take_optional_text(
            custom.get("description"), f"{field}.description"
        ),
        custom=True,
        grammar=_read_grammar(custom.get("format"), f"{field}.format"),
    )


def _read_grammar(form: object, field: str) -> dict[str, str] | None:
    """Read ``format`` as the responses API writes it, which has one object less."""
    if form is None:
        return None
    form = take_object(form, field)
    if take_one_of(form.get("type"), f"{field}.type", ("text", "grammar")) == "text":
        return None
    grammar = take_object(form.get("grammar"), f"{field}.grammar")
    syntax = take_text(grammar.get("syntax"), f"{field}.grammar.syntax")
    definition = take_text(grammar.get("definition"), f"{field}.grammar.definition")
    return {"type": "grammar", "syntax": syntax, "definition": definition}


def _read_mode(mode: object, field: str, modes: Sequence[str]) -> ToolChoice:
    match take_one_of(mode, field, modes):
        case "auto":
            return ToolChoice("auto")
        case "none":
            return ToolChoice("none")
        case _:
            return ToolChoice("required")


def _read_function_choice(choice: object) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return _read_mode(choice, "function_call", ("auto", "none"))
    name = take_object(choice, "function_call").get("name")
    return ToolChoice("named", take_text(name, "function_call.name"))


def _allowed_names(choice: object) -> set[str] | None:
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return None
    field = "tool_choice.allowed_tools"
    allowed = take_object(choice.get("allowed_tools"), field)
    names = set()
    for index, tool in enumerate(take_list(allowed.get("tools"), f"{field}.tools")):
        place = f"{field}.tools.{index}"
        tool = take_object(tool, place)
        inner = tool.get("function") or tool.get("custom")
        if inner is None:
            raise wrong(place, "must name a function or a custom tool")
        names.add(take_text(take_object(inner, place).get("name"), f"{place}.name"))
    return names


def write_tool(tool: Tool, *, custom: bool, cache: bool) -> dict[str, Any]:
    """Write one tool.

    Args:
        tool: The tool.
        custom: Whether the upstream knows tools that take free text.
        cache: Whether to write cache marks.

    Returns:
        An entry of ``tools``.
    """
    if tool.custom:
        if custom:
            return {"type": "custom", "custom": _write_custom(tool)}
        tool = as_function(tool)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict and is_strict_schema(tool.parameters or {})
    written: dict[str, Any] = {"type": "function", "function": function}
    if cache and tool.cache:
        written["cache_control"] = write_cache(tool.cache)
    return written


def write_tool_choice(
    choice: ToolChoice, tools: Sequence[Tool], *, custom: bool
) -> str | dict[str, Any]:
    """Write whether the model has to call a tool.

    Args:
        choice: The choice.
        tools: The tools among which it is.
        custom: Whether the upstream knows tools that take free text.

    Returns:
        The value of ``tool_choice``.
    """
    if choice.mode != "named":
        return choice.mode
    is_custom = custom and any(
        tool.custom for tool in tools if tool.name == choice.name
    )
    kind = "custom" if is_custom else "function"
    return {"type": kind, kind: {"name": choice.name}}


def _write_custom(tool: Tool) -> dict[str, Any]:
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description:
        custom["description"] = tool.description
    if tool.grammar is not None:
        inner = tool.grammar.get("grammar", tool.grammar)
        grammar = {key: inner.get(key, "") for key in ("definition", "syntax")}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return custom

"""Tools and the choice among them.

Source: the OpenAI API reference, "Responses", ``tools`` and ``tool_choice``. Unlike
chat completions this API is strict about arguments unless it is told not to be.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_proxy.types import Tool, ToolChoice
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
from llm_proxy.wire.openai_responses.content import name_type

_OWN_TOOLS = ("function", "custom")
# Other vendors have no groups of tools, so the group becomes a part of the name.
_OF_NAMESPACE = "__ns__"


def read_tools(fields: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Read what the model may call.

    Args:
        fields: A caller's request.

    Returns:
        The tools that the caller runs.

    Raises:
        InvalidInputError: A tool is not what it says to be.
        UnsupportedFeatureError: A tool runs at OpenAI.
    """
    tools = fields.get("tools")
    if tools is None:
        return ()
    return tuple(
        [
            _read_tool(tool, field, namespace)
            for tool, field, namespace in _ungrouped(tools)
        ]
    )


def _ungrouped(tools: object) -> Iterator[tuple[dict[str, Any], str, str]]:
    """List all tools with their places and their namespaces."""
    for index, value in enumerate(take_list(tools, "tools")):
        field = f"tools.{index}"
        tool = take_object(value, field)
        if tool.get("type") != "namespace":
            yield tool, field, ""
            continue
        namespace = take_text(tool.get("name"), f"{field}.name")
        for inner, value in enumerate(take_list(tool.get("tools"), f"{field}.tools")):
            place = f"{field}.tools.{inner}"
            yield take_object(value, place), place, namespace


def join_name(namespace: str, name: str) -> str:
    """Name a tool of a namespace where there are none.

    Args:
        namespace: The namespace; empty if it is in none.
        name: Its name.

    Returns:
        A name of which `split_name` makes both again.
    """
    return f"{namespace}{_OF_NAMESPACE}{name}" if namespace else name


def split_name(joined: str) -> tuple[str, str]:
    """Take apart what `join_name` has joined.

    Args:
        joined: A name that a model was told.

    Returns:
        The namespace, empty if it is in none, and the name.
    """
    namespace, found, name = joined.partition(_OF_NAMESPACE)
    return (namespace, name) if found else ("", joined)


def _read_tool(tool: dict[str, Any], field: str, namespace: str) -> Tool:
    kind = name_type(tool.get("type"), f"{field}.type")
    if kind not in _OWN_TOOLS:
        raise unsupported(f"{field}.type", f"tools of type {kind}")
    name = join_name(namespace, take_text(tool.get("name"), f"{field}.name"))
    description = take_optional_text(tool.get("description"), f"{field}.description")
    if kind == "custom":
        grammar = _read_grammar(tool.get("format"), f"{field}.format")
        return Tool(name, description, custom=True, grammar=grammar)
    parameters = tool.get("parameters")
    if parameters is not None:
        take_object(parameters, f"{field}.parameters")
    strict = take_flag(tool.get("strict"), f"{field}.strict")
    return Tool(name, description, parameters, strict)


def _read_grammar(value: object, field: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    form = take_object(value, field)
    kind = take_one_of(form.get("type"), f"{field}.type", ("text", "grammar"))
    if kind == "text":
        return None
    return {
        "type": "grammar",
        "syntax": take_text(form.get("syntax"), f"{field}.syntax"),
        "definition": take_text(form.get("definition"), f"{field}.definition"),
    }


def custom_tool_names(fields: Mapping[str, Any]) -> frozenset[str]:
    """Find the tools that take free text, whose calls are written as such.

    Args:
        fields: A caller's request that was read before.

    Returns:
        Their names.
    """
    return frozenset(
        [
            join_name(namespace, tool["name"])
            for tool, _, namespace in _ungrouped(fields.get("tools") or [])
            if tool["type"] == "custom"
        ]
    )


def read_tool_choice(
    fields: Mapping[str, Any], tools: tuple[Tool, ...]
) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """Read whether the model has to call a tool.

    Args:
        fields: A caller's request.
        tools: All its tools.

    Returns:
        The choice, and the tools among which it is.

    Raises:
        InvalidInputError: The choice is none.
        UnsupportedFeatureError: It is a tool that runs at OpenAI.
    """
    field = "tool_choice"
    value = fields.get(field)
    if value is None:
        return None, tools
    if isinstance(value, str):
        return _read_mode(value, field, ("auto", "none", "required")), tools
    choice = take_object(value, field)
    kind = name_type(choice.get("type"), f"{field}.type")
    if kind == "allowed_tools":
        mode = _read_mode(choice.get("mode"), f"{field}.mode", ("auto", "required"))
        allowed = _read_allowed(choice.get("tools"), f"{field}.tools")
        return mode, tuple([tool for tool in tools if tool.name in allowed])
    if kind not in _OWN_TOOLS:
        raise unsupported(f"{field}.type", f"tools of type {kind}")
    return ToolChoice("named", take_text(choice.get("name"), f"{field}.name")), tools


def _read_mode(value: object, field: str, modes: Sequence[str]) -> ToolChoice:
    match take_one_of(value, field, modes):
        case "none":
            return ToolChoice("none")
        case "required":
            return ToolChoice("required")
        case _:
            return ToolChoice("auto")


def _read_allowed(value: object, field: str) -> frozenset[str]:
    allowed = set()
    for index, item in enumerate(take_list(value, field)):
        place = f"{field}.{index}"
        tool = take_object(item, place)
        kind = name_type(tool.get("type"), f"{place}.type")
        if kind not in _OWN_TOOLS:
            raise unsupported(f"{place}.type", f"tools of type {kind}")
        allowed.add(take_text(tool.get("name"), f"{place}.name"))
    if not allowed:
        raise wrong(field, "must not be empty")
    return frozenset(allowed)


def write_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Write what the model may call.

    Args:
        tools: The tools.

    Returns:
        The value of ``tools``.
    """
    return [_write_custom(tool) if tool.custom else _write(tool) for tool in tools]


def _write(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": bool(tool.strict) and is_strict_schema(tool.parameters or {}),
    }
    if tool.description:
        written["description"] = tool.description
    return written


def _write_custom(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "custom", "name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.grammar is not None:
        # Chat completions puts one more object around the rules.
        rules = tool.grammar.get("grammar", tool.grammar)
        written["format"] = {**rules, "type": "grammar"}
    return written


def write_tool_choice(choice: ToolChoice, tools: Sequence[Tool]) -> Any:  # noqa: ANN401
    """Write whether the model has to call a tool.

    Args:
        choice: The choice.
        tools: Among which it is.

    Returns:
        The value of ``tool_choice``.
    """
    if choice.mode != "named":
        return choice.mode
    custom = any(tool.custom for tool in tools if tool.name == choice.name)
    return {"type": "custom" if custom else "function", "name": choice.name}

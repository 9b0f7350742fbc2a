"""Reads the messages of a caller's request.

Source: the OpenAI API reference, "Chat completions", ``messages``. Besides,
``reasoning_content`` and ``reasoning`` are read as DeepSeek, vLLM and OpenRouter take
them, and ``extra_content.google.thought_signature`` as Gemini's compatible API does.
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_proxy.types import (
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_proxy.wire.openai_chat.fields import (
    take_list,
    take_object,
    take_one_of,
    take_optional_text,
    take_text,
)
from llm_proxy.wire.openai_chat.parts import read_cache, read_content


def read_messages(value: object, field: str = "messages") -> tuple[Message, ...]:
    """Read all turns.

    Args:
        value: The array.
        field: Where it stood.

    Returns:
        The turns; results of tools and what the user says after them are one.

    Raises:
        InvalidInputError: A message is not what it says to be.
        UnsupportedFeatureError: A content part has a type that nobody here knows.
    """
    reader = _MessageReader()
    for index, message in enumerate(take_list(value, field)):
        place = f"{field}.{index}"
        reader.read(take_object(message, place), place)
    return reader.close()


def read_signature(call: Mapping[str, Any]) -> str:
    """Read a tool call's proof of the thoughts behind it.

    Args:
        call: An entry of ``tool_calls``, whole or a piece.

    Returns:
        Gemini's thought signature; empty if there is none.
    """
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


class _MessageReader:
    """Gathers turns, and remembers which tool a result belongs to."""

    def __init__(self) -> None:
        self._turns: list[Message] = []
        self._results: list[Part] = []
        self._custom_ids: set[str] = set()
        self._ids: dict[str, str] = {}

    def read(self, message: dict[str, Any], field: str) -> None:
        role = take_one_of(message.get("role"), f"{field}.role", _READERS)
        if role not in ("tool", "function", "user"):
            self._end_results()
        _READERS[role](self, message, field)

    def close(self) -> tuple[Message, ...]:
        self._end_results()
        return tuple(self._turns)

    def read_system(self, message: dict[str, Any], field: str) -> None:
        self._add("system", message, field)

    def read_developer(self, message: dict[str, Any], field: str) -> None:
        self._add("developer", message, field)

    def read_user(self, message: dict[str, Any], field: str) -> None:
        self._add("user", message, field)

    def read_assistant(self, message: dict[str, Any], field: str) -> None:
        parts: list[Part] = []
        for name in ("reasoning_content", "reasoning"):
            thoughts = take_optional_text(message.get(name), f"{field}.{name}")
            if thoughts:
                parts.append(Thinking(thoughts))
                break
        parts += read_content(message.get("content"), f"{field}.content")
        refusal = take_optional_text(message.get("refusal"), f"{field}.refusal")
        if refusal:
            parts.append(Text(refusal))
        parts += self._read_calls(message, field)
        name = take_optional_text(message.get("name"), f"{field}.name")
        self._turns.append(Message("assistant", tuple(parts), name))

    def read_tool(self, message: dict[str, Any], field: str) -> None:
        call_id = take_text(message.get("tool_call_id"), f"{field}.tool_call_id")
        self._add_result(call_id, message, field)

    def read_function(self, message: dict[str, Any], field: str) -> None:
        name = take_text(message.get("name"), f"{field}.name")
        self._add_result(self._ids.get(name, name), message, field)

    def _add(self, role: Role, message: dict[str, Any], field: str) -> None:
        content = read_content(message.get("content"), f"{field}.content")
        name = take_optional_text(message.get("name"), f"{field}.name")
        self._turns.append(Message(role, (*self._results, *content), name))
        self._results = []

    def _add_result(self, call_id: str, message: dict[str, Any], field: str) -> None:
        self._results.append(
            ToolResult(
                call_id,
                read_content(message.get("content"), f"{field}.content"),
                custom=call_id in self._custom_ids,
                cache=read_cache(message, field),
            )
        )

    def _end_results(self) -> None:
        if self._results:
            self._turns.append(Message("user", tuple(self._results)))
            self._results = []

    def _read_calls(self, message: dict[str, Any], field: str) -> list[ToolCall]:
        calls = []
        if message.get("tool_calls") is not None:
            field = f"{field}.tool_calls"
            for index, call in enumerate(take_list(message["tool_calls"], field)):
                place = f"{field}.{index}"
                calls.append(self._read_call(take_object(call, place), place))
        elif message.get("function_call") is not None:
            field = f"{field}.function_call"
            call = take_object(message["function_call"], field)
            # Results of these are told by the name; everybody else needs an id.
            name = take_text(call.get("name"), f"{field}.name")
            self._ids[name] = f"call_{len(self._turns)}"
            arguments = take_text(call.get("arguments"), f"{field}.arguments")
            calls.append(ToolCall(self._ids[name], name, arguments))
        return calls

    def _read_call(self, call: dict[str, Any], field: str) -> ToolCall:
        kind = call.get("type") or "function"
        take_one_of(kind, f"{field}.type", ("function", "custom"))
        custom = kind == "custom"
        call_id = take_text(call.get("id"), f"{field}.id")
        inner = take_object(call.get(kind), f"{field}.{kind}")
        key = "input" if custom else "arguments"
        if custom:
            self._custom_ids.add(call_id)
        else:
            # The id may have been that of a custom tool in an earlier turn.
            self._custom_ids.discard(call_id)
        return ToolCall(
            id=call_id,
            name=take_text(inner.get("name"), f"{field}.{kind}.name"),
            arguments=take_text(inner.get(key), f"{field}.{kind}.{key}"),
            custom=custom,
            signature=read_signature(call),
            cache=read_cache(call, field),
        )


_READERS: Mapping[str, Callable[[_MessageReader, dict[str, Any], str], None]] = {
    "system": _MessageReader.read_system,
    "developer": _MessageReader.read_developer,
    "user": _MessageReader.read_user,
    "assistant": _MessageReader.read_assistant,
    "tool": _MessageReader.read_tool,
    "function": _MessageReader.read_function,
}

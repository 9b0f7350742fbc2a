"""Reads the conversation of a caller's request.

Source: the OpenAI API reference, "Responses", ``input``. A conversation is a list of
items here: what an assistant says, thinks and calls in one turn are items of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llm_proxy.errors import InvalidInputError
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
    unsupported,
    wrong,
)
from llm_proxy.wire.openai_responses.content import name_type, read_content
from llm_proxy.wire.openai_responses.thoughts import (
    CallSignature,
    read_summary,
    unseal,
)
from llm_proxy.wire.openai_responses.tools import join_name

_ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}


def read_turns(fields: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read ``instructions`` and ``input``.

    Args:
        fields: A caller's request; turns that the proxy has stored stand in ``input``.

    Returns:
        The turns; the instructions come first.

    Raises:
        InvalidInputError: An item is not what it says to be, or there are none.
        UnsupportedFeatureError: An item has a type that nobody here knows.
    """
    turns = _Turns()
    instructions = take_optional_text(fields.get("instructions"), "instructions")
    if instructions:
        turns.add("system", Text(instructions))
    said = fields.get("input")
    if isinstance(said, str):
        turns.add("user", Text(said))
    else:
        for index, item in enumerate(take_input(said)):
            _read_item(turns, take_object(item, f"input.{index}"), f"input.{index}")
    messages = turns.all()
    if all(message.role == "system" for message in messages):
        raise wrong("input", "must say something")
    return messages


def take_input(said: object) -> list[Any]:
    """Read the items of ``input``.

    Args:
        said: What stood there, if it is no string.

    Returns:
        The items.

    Raises:
        InvalidInputError: It is something else or missing.
    """
    if said is None:
        raise wrong("input", "is required")
    return take_list(said, "input")


class _Turns:
    """Puts items together to turns."""

    def __init__(self) -> None:
        self._done: list[Message] = []
        self._role: Role | None = None
        self._parts: list[Part] = []

    def add(self, role: Role, *parts: Part) -> None:
        if not parts:
            return
        if role != self._role or not self._goes_on(parts[0]):
            self._end()
            self._role = role
        self._parts.extend(parts)

    def sign_call(self, proof: CallSignature) -> None:
        for index, part in enumerate(self._parts):
            if isinstance(part, ToolCall) and part.id == proof.call_id:
                self._parts[index] = replace(part, signature=proof.signature)

    def all(self) -> tuple[Message, ...]:
        self._end()
        return tuple(self._done)

    def _goes_on(self, part: Part) -> bool:
        """Tell whether a part belongs to the open turn of its role."""
        if self._role == "user":
            # Results come first, and what the user says with them is one message.
            return isinstance(self._parts[-1], ToolResult)
        return self._role == "assistant"

    def _end(self) -> None:
        if self._role is not None:
            self._done.append(Message(self._role, tuple(self._parts)))
        self._role = None
        self._parts = []


def _read_item(turns: _Turns, item: dict[str, Any], field: str) -> None:
    if item.get("type") is None:
        kind = "message" if "role" in item else "item_reference"
    else:
        kind = name_type(item["type"], f"{field}.type")
    reader = _READERS.get(kind)
    if reader is None:
        raise unsupported(f"{field}.type", f"input items of type {kind}")
    reader(turns, item, field)


def _read_message(turns: _Turns, item: dict[str, Any], field: str) -> None:
    role = take_one_of(item.get("role"), f"{field}.role", _ROLES)
    turns.add(_ROLES[role], *read_content(item.get("content"), f"{field}.content"))


def _read_call(turns: _Turns, item: dict[str, Any], field: str) -> None:
    custom = item["type"] == "custom_tool_call"
    arguments = "input" if custom else "arguments"
    call = ToolCall(
        take_text(item.get("call_id"), f"{field}.call_id"),
        join_name(
            take_optional_text(item.get("namespace"), f"{field}.namespace"),
            take_text(item.get("name"), f"{field}.name"),
        ),
        take_text(item.get(arguments), f"{field}.{arguments}"),
        custom=custom,
    )
    turns.add("assistant", call)


def _read_result(turns: _Turns, item: dict[str, Any], field: str) -> None:
    result = ToolResult(
        take_text(item.get("call_id"), f"{field}.call_id"),
        read_content(item.get("output"), f"{field}.output"),
        custom=item["type"] == "custom_tool_call_output",
    )
    turns.add("user", result)


def _read_reasoning(turns: _Turns, item: dict[str, Any], field: str) -> None:
    content = take_optional_text(
        item.get("encrypted_content"), f"{field}.encrypted_content"
    )
    item_id = take_optional_text(item.get("id"), f"{field}.id")
    thoughts = unseal(item_id, content) if content else Thinking()
    if isinstance(thoughts, CallSignature):
        turns.sign_call(thoughts)
        return
    thoughts = replace(thoughts, text=read_summary(item))
    if thoughts != Thinking():
        turns.add("assistant", thoughts)


def _read_reference(turns: _Turns, item: dict[str, Any], field: str) -> None:
    raise InvalidInputError(
        "An item is referred to that is not stored here",
        details=[{"field": f"{field}.id", "problem": "is not known"}],
    )


_READERS: Mapping[str, Callable[[_Turns, dict[str, Any], str], None]] = {
    "message": _read_message,
    "function_call": _read_call,
    "custom_tool_call": _read_call,
    "function_call_output": _read_result,
    "custom_tool_call_output": _read_result,
    "reasoning": _read_reasoning,
    "item_reference": _read_reference,
}

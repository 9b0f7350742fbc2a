"""Reads tool calls of upstreams, whole and in pieces.

Source: the OpenAI API reference, "The chat completion object", ``tool_calls``, and the
older ``function_call``.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_proxy.types import ToolCall, ToolCallDelta
from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.openai_chat.message_reader import read_signature
from llm_proxy.wire.reading import read_mapping, read_mappings, read_string


def read_entries(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Find the calls, or the pieces of calls, in a message.

    Args:
        message: A message, or the delta of one.

    Returns:
        The entries of ``tool_calls``, or one with what ``function_call`` says.

    Raises:
        WireError: The entries are no objects.
    """
    if entries := read_mappings(message, "tool_calls"):
        return entries
    function = message.get("function_call")
    return [{"index": 0, "function": function}] if function is not None else []


def read_calls(message: Mapping[str, Any]) -> list[ToolCall]:
    """Read the calls of a whole message.

    Args:
        message: The message.

    Returns:
        The calls; those without an id get one.

    Raises:
        WireError: A call has no name, or its arguments cannot be read.
    """
    calls = []
    for place, entry in enumerate(read_entries(message)):
        call_id, name, arguments, custom, signature = read_call(entry)
        if not name:
            raise WireError("a tool call has no name")
        call_id = call_id or f"call_{place}"
        calls.append(ToolCall(call_id, name, arguments, custom, signature))
    return calls


def read_call(entry: dict[str, Any]) -> tuple[str, str, str, bool, str]:
    """Read a call, or a piece of one.

    Args:
        entry: An entry of ``tool_calls``.

    Returns:
        Its id, name and arguments, whether it is custom, and its signature.

    Raises:
        WireError: The arguments cannot be read.
    """
    custom = entry.get("type") == "custom" or "custom" in entry
    inner = read_mapping(entry, "custom" if custom else "function")
    call_id, name = entry.get("id"), inner.get("name")
    key = "input" if custom else "arguments"
    if isinstance(inner.get(key), dict):
        # Some upstreams send the object itself.
        arguments = orjson.dumps(inner[key]).decode()
    else:
        arguments = read_string(inner, key)
    return (
        call_id if isinstance(call_id, str) else "",
        name if isinstance(name, str) else "",
        arguments,
        custom,
        read_signature(entry),
    )


class CallReader:
    """Tells which call a piece belongs to.

    The reference promises an ``index``; there are upstreams that leave it out, that
    always say 0, that repeat id and name on every piece, and that send the name late.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._places: dict[int | None, int] = {}
        self._early_ids: dict[int | None, str] = {}

    @property
    def any(self) -> bool:
        """Whether there has been a call."""
        return bool(self._ids)

    def read(self, piece: dict[str, Any]) -> ToolCallDelta | None:
        """Read a piece of a call.

        Args:
            piece: An entry of ``tool_calls``.

        Returns:
            The piece, with id and name if it is the call's first; None if it says
            nothing but the id.

        Raises:
            WireError: There are arguments before there is a name, or none that can be
                read.
        """
        call_id, name, arguments, custom, signature = read_call(piece)
        index = piece.get("index")
        if not isinstance(index, int):
            index = None
        place = self._find(index, call_id, begins=bool(name))
        if place is not None:
            return ToolCallDelta(place, arguments=arguments, signature=signature)
        if not name:
            if arguments:
                raise WireError("a tool call has no name")
            self._early_ids[index] = call_id
            return None
        call_id = call_id or self._early_ids.pop(index, "")
        place = len(self._ids)
        self._ids.append(call_id)
        self._places[index] = place
        call_id = call_id or f"call_{place}"
        return ToolCallDelta(place, call_id, name, arguments, custom, signature)

    def _find(self, index: int | None, call_id: str, *, begins: bool) -> int | None:
        if index is None and begins and not call_id:
            return None
        if index is None and call_id and call_id in self._ids:
            return self._ids.index(call_id)
        place = self._places.get(index)
        if place is None:
            return None
        known = self._ids[place]
        return None if call_id and known and call_id != known else place

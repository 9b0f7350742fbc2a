"""Reads the pieces that all vendors' JSON has in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.parsing import parse_json


def read_object(body: bytes) -> dict[str, Any]:
    """Parse one JSON object, strictly.

    Args:
        body: UTF-8 JSON.

    Returns:
        The object.

    Raises:
        WireError: It is not JSON, or not an object.
    """
    try:
        value = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise WireError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise WireError("the body is not a JSON object")
    return value


def read_count(value: object) -> int:
    """Read a token count; nonsense (negative, absurd, no integer) counts as zero.

    Args:
        value: Whatever stood in the usage object.

    Returns:
        0 to 10**10.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**10:
        return value
    return 0


def read_string(owner: Mapping[str, Any], name: str) -> str:
    """Read a piece of an answer; one that cannot be read must not be left out.

    Args:
        owner: The object that has it.
        name: Its key.

    Returns:
        The string; empty if there is none, or null.

    Raises:
        WireError: It is something else.
    """
    value = owner.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise WireError(f"`{name}` is not a string")


def read_mapping(owner: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read an object that holds a piece of an answer.

    Args:
        owner: The object that has it.
        name: Its key.

    Returns:
        The object; empty if there is none, or null.

    Raises:
        WireError: It is something else.
    """
    value = owner.get(name)
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    raise WireError(f"`{name}` is not an object")


def read_mappings(owner: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Read a list of objects that hold pieces of an answer.

    Args:
        owner: The object that has it.
        name: Its key.

    Returns:
        The objects; none if there is no list, or null.

    Raises:
        WireError: It is something else.
    """
    values = owner.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        raise WireError(f"`{name}` is not a list")
    for value in values:
        if not isinstance(value, dict):
            raise WireError(f"`{name}` is not a list of objects")
    return values


def read_text(owner: Mapping[str, Any], name: str) -> str:
    """Read text that may be a string, null, or a list of typed parts.

    Args:
        owner: The object that has it.
        name: Its key. The value is a string, None, or parts like
            ``{"type": "text", "text": ...}``.

    Returns:
        The text of all text parts together.

    Raises:
        WireError: It is something else.
    """
    if not isinstance(owner.get(name), list):
        return read_string(owner, name)
    parts = read_mappings(owner, name)
    return "".join(
        [read_string(part, "text") for part in parts if part.get("type") == "text"]
    )


def is_utf8(events: bytes) -> bool:
    """Find out whether events that pass through unread can be read as text.

    Args:
        events: Whole events.

    Returns:
        Whether they can.
    """
    if not events.isascii():
        try:
            events.decode()
        except UnicodeDecodeError:
            return False
    return True


def read_event(payload: bytes, marks: Sequence[bytes]) -> object:
    """Parse the data of one event of a streamed answer.

    Args:
        payload: The data.
        marks: As in `is_lost_content`.

    Returns:
        What it says; None for a line that is not JSON and held nothing of the answer,
        as heartbeats are.

    Raises:
        WireError: It held a piece of the answer and cannot be read.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if is_lost_content(payload, marks):
            raise WireError("an event is not JSON") from error
        return None


def is_lost_content(payload: bytes, marks: Sequence[bytes]) -> bool:
    """Say whether an event that is no JSON held a piece of the answer.

    Some upstreams send words as a heartbeat, and a stray line should end no answer. But
    an object that breaks off, or has the names of content in it, is a piece that nobody
    will get.

    Args:
        payload: The event's data.
        marks: Names that stand in events with content.

    Returns:
        Whether the answer is no longer whole.
    """
    payload = payload.strip()
    if not payload.startswith((b"{", b"[")):
        return False
    return not payload.endswith((b"}", b"]")) or any(mark in payload for mark in marks)

"""Writes turns as messages.

Source: the OpenAI API reference, "Chat completions", ``messages``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from llm_proxy.types import Media, Message, Text, Thinking, ToolCall, ToolResult
from llm_proxy.wire.free_text import write_free_text
from llm_proxy.wire.openai_chat.parts import write_cache, write_content


class Words(NamedTuple):
    """What an upstream understands beside the plain messages of everybody.

    Attributes:
        developer: The role ``developer``.
        lists: Content that is a list although it is text alone.
        custom: Calls of tools that take free text.
        cache: ``cache_control``.
        thinking: ``reasoning_content`` of earlier turns.
        signature: ``extra_content`` on tool calls.
    """

    developer: bool
    lists: bool
    custom: bool
    cache: bool
    thinking: bool
    signature: bool


def write_messages(turns: Iterable[Message], words: Words) -> list[dict[str, Any]]:
    """Write all turns; a turn with results of tools becomes several messages.

    Args:
        turns: The turns, oldest first.
        words: What the upstream understands.

    Returns:
        The value of ``messages``.

    Raises:
        UnsupportedFeatureError: The dialect has no words for a part.
    """
    written: list[dict[str, Any]] = []
    for turn in turns:
        written += _WRITERS[turn.role](turn, words)
    return written


def _write_system(turn: Message, words: Words) -> list[dict[str, Any]]:
    role = turn.role if words.developer else "system"
    return [_write_turn(role, turn, _texts_and_media(turn), words)]


def _write_user(turn: Message, words: Words) -> list[dict[str, Any]]:
    content = _texts_and_media(turn)
    if not turn.content or not isinstance(turn.content[0], ToolResult):
        return [_write_turn("user", turn, content, words)]
    written = []
    shown: list[Text | Media] = []
    for result in turn.content:
        if isinstance(result, ToolResult):
            texts = [part for part in result.content if isinstance(part, Text)]
            # The vendor takes nothing but text from a tool.
            shown += [part for part in result.content if isinstance(part, Media)]
            written.append(_write_result(result, texts, words))
    if shown or content:
        written.append(_write_turn("user", turn, [*shown, *content], words))
    return written


def _write_assistant(turn: Message, words: Words) -> list[dict[str, Any]]:
    content = _texts_and_media(turn)
    written = _write_turn("assistant", turn, content, words)
    if words.thinking:
        thoughts = [part.text for part in turn.content if isinstance(part, Thinking)]
        if any(thoughts):
            written["reasoning_content"] = "".join(thoughts)
    calls = [
        _write_call(part, words) for part in turn.content if isinstance(part, ToolCall)
    ]
    if calls:
        if not content:
            written["content"] = None
        written["tool_calls"] = calls
    return [written]


_WRITERS: Mapping[str, Callable[[Message, Words], list[dict[str, Any]]]] = {
    "system": _write_system,
    "developer": _write_system,
    "user": _write_user,
    "assistant": _write_assistant,
}


def _texts_and_media(turn: Message) -> list[Text | Media]:
    return [part for part in turn.content if isinstance(part, Text | Media)]


def _write_turn(
    role: str, turn: Message, content: list[Text | Media], words: Words
) -> dict[str, Any]:
    written: dict[str, Any] = {
        "role": role,
        "content": write_content(content, cache=words.cache, lists=words.lists),
    }
    if turn.name:
        written["name"] = turn.name
    return written


def _write_result(
    result: ToolResult, texts: list[Text], words: Words
) -> dict[str, Any]:
    written: dict[str, Any] = {
        "role": "tool",
        "tool_call_id": result.call_id,
        "content": write_content(texts, cache=words.cache, lists=words.lists),
    }
    if words.cache and result.cache:
        written["cache_control"] = write_cache(result.cache)
    return written


def _write_call(call: ToolCall, words: Words) -> dict[str, Any]:
    if call.custom and not words.custom:
        arguments = write_free_text(call.arguments)
        written = write_call(call.id, call.name, arguments, custom=False)
    else:
        written = write_call(call.id, call.name, call.arguments, custom=call.custom)
    if words.signature and call.signature:
        written["extra_content"] = write_signature(call.signature)
    if words.cache and call.cache:
        written["cache_control"] = write_cache(call.cache)
    return written


def write_call(
    call_id: str, name: str, arguments: str, *, custom: bool
) -> dict[str, Any]:
    """Write a tool call.

    Args:
        call_id: What the result refers to.
        name: The tool.
        arguments: JSON text, or free text.
        custom: Whether it is free text.

    Returns:
        An entry of ``tool_calls``.
    """
    if custom:
        kind, key = "custom", "input"
    else:
        kind, key = "function", "arguments"
    return {"id": call_id, "type": kind, kind: {"name": name, key: arguments}}


def write_signature(signature: str) -> dict[str, Any]:
    """Write a tool call's proof of the thoughts behind it, as Gemini does.

    Args:
        signature: The proof.

    Returns:
        The value of ``extra_content``.
    """
    return {"google": {"thought_signature": signature}}

"""Writes a conversation as ``instructions`` and ``input``."""

from collections.abc import Sequence
from typing import Any

from llm_proxy.types import Message, Part, Text, Thinking, ToolCall, ToolResult
from llm_proxy.wire.openai_responses.content import cannot_say, write_content
from llm_proxy.wire.openai_responses.thoughts import write_openai_thoughts


def split_instructions(
    messages: Sequence[Message],
) -> tuple[str, Sequence[Message]]:
    """Take the leading system message out of a conversation.

    Args:
        messages: The turns.

    Returns:
        Its text, empty if it is not one text or not there; and the other turns.
    """
    first = messages[0]
    if first.role == "system" and len(first.content) == 1 and first.text:
        return first.text, messages[1:]
    return "", messages


def write_items(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Write turns.

    Args:
        messages: The turns.

    Returns:
        The value of ``input``.

    Raises:
        UnsupportedFeatureError: The dialect has no words for a part.
    """
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "assistant":
            items += [item for part in message.content if (item := _write_said(part))]
        else:
            items += _write_heard(message)
    return items


def _write_said(part: Part) -> dict[str, Any] | None:
    match part:
        case Text():
            return {"role": "assistant", "content": part.text}
        case Thinking():
            return write_openai_thoughts(part)
        case ToolCall(custom=True):
            return {
                "type": "custom_tool_call",
                "call_id": part.id,
                "name": part.name,
                "input": part.arguments,
            }
        case ToolCall():
            return {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case _:
            raise cannot_say("media said by an assistant")


def _write_heard(message: Message) -> list[dict[str, Any]]:
    """Write what a user, a developer or the tools say."""
    results = [part for part in message.content if isinstance(part, ToolResult)]
    said = [part for part in message.content if not isinstance(part, ToolResult)]
    items = [_write_result(result) for result in results]
    if said:
        items.append({"role": message.role, "content": write_content(said)})
    return items


def _write_result(result: ToolResult) -> dict[str, Any]:
    kind = "custom_tool_call_output" if result.custom else "function_call_output"
    output = write_content(result.content)
    return {"type": kind, "call_id": result.call_id, "output": output}

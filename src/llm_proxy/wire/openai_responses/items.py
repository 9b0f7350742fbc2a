"""The items of an answer's ``output``, as callers get them.

Source: the OpenAI API reference, "The response object"; the types of the Python SDK.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_proxy.types import ChatResponse, Text, Thinking, ToolCall
from llm_proxy.wire.free_text import read_free_text
from llm_proxy.wire.openai_responses.finish import write_status
from llm_proxy.wire.openai_responses.thoughts import seal, seal_call, write_summary
from llm_proxy.wire.openai_responses.tools import custom_tool_names, split_name
from llm_proxy.wire.surface import Asked


def text_part(
    text: str, logprobs: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Write a part of a message that is text.

    Args:
        text: The text.
        logprobs: Those of its tokens.

    Returns:
        The part.
    """
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": list(logprobs or ()),
    }


def refusal_part(text: str) -> dict[str, Any]:
    """Write a part of a message that is a refusal.

    Args:
        text: What the model says.

    Returns:
        The part.
    """
    return {"type": "refusal", "refusal": text}


def message_item(
    serial: str, content: Sequence[Mapping[str, Any]], status: str
) -> dict[str, Any]:
    """Write what the assistant says.

    Args:
        serial: What its id ends with.
        content: Its parts.
        status: ``in_progress``, ``completed`` or ``incomplete``.

    Returns:
        The item.
    """
    return {
        "id": f"msg_{serial}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def call_item(serial: str, call: ToolCall, status: str) -> dict[str, Any]:
    """Write a tool call.

    Args:
        serial: What its id ends with.
        call: The call; its arguments are free text if it is `custom`.
        status: ``in_progress``, ``completed`` or ``incomplete``.

    Returns:
        The item.
    """
    kind, prefix, arguments = "function_call", "fc", "arguments"
    if call.custom:
        kind, prefix, arguments = "custom_tool_call", "ctc", "input"
    namespace, name = split_name(call.name)
    item = {
        "id": f"{prefix}_{serial}",
        "type": kind,
        "status": status,
        "call_id": call.id,
        "name": name,
        arguments: call.arguments,
    }
    return item | {"namespace": namespace} if namespace else item


def reasoning_item(serial: str, text: str, encrypted: str) -> dict[str, Any]:
    """Write thoughts.

    Args:
        serial: What its id ends with.
        text: The thoughts, or a summary of them.
        encrypted: What callers bring back, as `seal` writes it; may be empty.

    Returns:
        The item. It has no status: OpenAI refuses one in what it gets back.
    """
    item: dict[str, Any] = {
        "id": f"rs_{serial}",
        "type": "reasoning",
        "summary": write_summary(text),
    }
    if encrypted:
        item["encrypted_content"] = encrypted
    return item


def write_output(response: ChatResponse, asked: Asked) -> list[dict[str, Any]]:
    """Write all that a model has said.

    Args:
        response: The answer.
        asked: What is known of its request.

    Returns:
        The value of ``output``.
    """
    custom = custom_tool_names(asked.fields)
    refused = response.finish_reason == "refusal"
    parts = response.parts
    if refused and not response.text:
        parts = (*parts, Text(""))
    output: list[dict[str, Any]] = []
    logprobs = response.logprobs
    for part in parts:
        serial = f"{asked.id}{len(output)}"
        # Where an answer breaks off, its last part is not whole.
        ended = part is parts[-1]
        status = write_status(response.finish_reason) if ended else "completed"
        match part:
            case Text(text) if refused:
                output.append(message_item(serial, [refusal_part(text)], status))
            case Text(text):
                said = text_part(text, logprobs)
                output.append(message_item(serial, [said], status))
                logprobs = None
            case Thinking(text):
                output.append(reasoning_item(serial, text, seal(part)))
            case ToolCall():
                output.append(call_item(serial, settle(part, custom), status))
                if part.signature:
                    serial = f"{asked.id}{len(output)}"
                    output.append(reasoning_item(serial, "", seal_call(part)))
    return output


def settle(call: ToolCall, custom: Collection[str]) -> ToolCall:
    """Make of a call what the caller has asked for.

    Args:
        call: A call of any vendor's model.
        custom: Names of the caller's custom tools.

    Returns:
        The call; of a custom tool its arguments are free text, of a function JSON.
    """
    if call.name in custom and not call.custom:
        return replace(call, custom=True, arguments=read_free_text(call.arguments))
    if not call.arguments and not call.custom:
        return replace(call, arguments="{}")
    return call

"""Writes complete answers for callers.

Source: the OpenAI API reference, "The chat completion object".
"""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_proxy.types import ChatResponse, Thinking, ToolCall
from llm_proxy.wire.free_text import read_free_text
from llm_proxy.wire.openai_chat.message_writer import write_call, write_signature
from llm_proxy.wire.openai_chat.tools import custom_names
from llm_proxy.wire.openai_chat.usage import write_usage
from llm_proxy.wire.surface import Asked


def write_response(response: ChatResponse, asked: Asked) -> bytes:
    """Write a complete answer.

    Args:
        response: The answer.
        asked: What to know of its request.

    Returns:
        JSON.
    """
    refused = response.finish_reason == "refusal"
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    text = response.text or (None if calls else "")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused else text,
        "refusal": text if refused else None,
    }
    thoughts = [part.text for part in response.parts if isinstance(part, Thinking)]
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    finish_reason = str(response.finish_reason)
    if refused:
        finish_reason = "stop" if text else "content_filter"
    if calls and is_legacy(asked.fields):
        function = {"name": calls[0].name, "arguments": calls[0].arguments}
        message["function_call"] = function
        if finish_reason == "tool_calls":
            finish_reason = "function_call"
    elif calls:
        custom = custom_names(asked.fields)
        message["tool_calls"] = [_write_call(call, custom) for call in calls]
    logprobs = response.logprobs
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None if logprobs is None else write_logprobs(logprobs, refused),
        "finish_reason": finish_reason,
    }
    answer = {
        "id": f"chatcmpl-{asked.id}",
        "object": "chat.completion",
        "created": asked.created,
        "model": response.model or asked.model,
        "choices": [choice],
    }
    if response.usage.source != "none":
        answer["usage"] = write_usage(response.usage)
    return orjson.dumps(answer)


def is_legacy(fields: Mapping[str, Any]) -> bool:
    """Say whether a caller knows ``functions`` only.

    Args:
        fields: The caller's JSON.

    Returns:
        Whether calls are to be written as ``function_call``.
    """
    return bool(fields.get("functions")) and not fields.get("tools")


def write_logprobs(
    logprobs: tuple[Mapping[str, Any], ...], refused: bool = False
) -> dict[str, Any]:
    """Write log probabilities.

    Args:
        logprobs: One object per token.
        refused: Whether the tokens are those of a refusal.

    Returns:
        The value of ``logprobs``.
    """
    if refused:
        return {"content": None, "refusal": logprobs}
    return {"content": logprobs, "refusal": None}


def _write_call(call: ToolCall, custom: frozenset[str]) -> dict[str, Any]:
    arguments = call.arguments
    is_custom = call.custom or call.name in custom
    if is_custom and not call.custom:
        arguments = read_free_text(arguments)
    written = write_call(call.id, call.name, arguments, custom=is_custom)
    if call.signature:
        written["extra_content"] = write_signature(call.signature)
    return written

"""Writes the response object for callers.

Source: the OpenAI API reference, "The response object"; the types of the Python SDK.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.errors import APIError
from llm_proxy.types import ChatResponse, FinishReason, Usage
from llm_proxy.wire.openai_responses.errors import write_failure
from llm_proxy.wire.openai_responses.finish import write_details, write_status
from llm_proxy.wire.openai_responses.items import write_output
from llm_proxy.wire.openai_responses.usage import write_usage
from llm_proxy.wire.surface import Asked

# Fields of the request that its answer repeats, and what they are if they are absent.
# Sampling has no defaults: what it is depends on the model.
_REPEATED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


def begin_response(asked: Asked, status: str) -> dict[str, Any]:
    """Write a response that has no answer yet.

    Args:
        asked: What is known of its request.
        status: ``queued``, ``in_progress``, ``cancelled`` …

    Returns:
        The object.
    """
    fields = asked.fields
    repeated = {
        name: default if fields.get(name) is None else fields[name]
        for name, default in _REPEATED.items()
    }
    return {
        "id": f"resp_{asked.id}",
        "object": "response",
        "created_at": asked.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": asked.model,
        "output": [],
        "usage": None,
        "reasoning": {
            "effort": None,
            "summary": None,
            **(fields.get("reasoning") or {}),
        },
        "text": {"format": {"type": "text"}, **(fields.get("text") or {})},
        **repeated,
    }


def end_response(
    asked: Asked,
    model: str,
    finish_reason: FinishReason,
    output: Sequence[Mapping[str, Any]],
    usage: Usage,
) -> dict[str, Any]:
    """Write a response whose answer has ended.

    Args:
        asked: What is known of its request.
        model: The model that has answered; empty if it does not say.
        finish_reason: Why the answer ended.
        output: Its items.
        usage: Its tokens.

    Returns:
        The object.
    """
    return {
        **begin_response(asked, write_status(finish_reason)),
        "model": model or asked.model,
        "incomplete_details": write_details(finish_reason),
        "output": output,
        "usage": write_usage(usage),
    }


def fail_response(asked: Asked, error: APIError, request_id: str) -> dict[str, Any]:
    """Write a response that has failed.

    Args:
        asked: What is known of its request.
        error: What went wrong.
        request_id: Which request it was.

    Returns:
        The object.
    """
    failure = write_failure(error, request_id)
    return {**begin_response(asked, "failed"), "error": failure}


def write_response(response: ChatResponse, asked: Asked) -> dict[str, Any]:
    """Write a response with its answer.

    Args:
        response: The answer.
        asked: What is known of its request.

    Returns:
        The object.
    """
    output = write_output(response, asked)
    return end_response(
        asked, response.model, response.finish_reason, output, response.usage
    )


def encode_response(response: ChatResponse, asked: Asked) -> bytes:
    """Write a response with its answer.

    Args:
        response: The answer.
        asked: What is known of its request.

    Returns:
        JSON.
    """
    return orjson.dumps(write_response(response, asked))

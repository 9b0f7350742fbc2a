"""Writes complete answers for callers, and what streamed ones share with them.

Source: the OpenAI API reference, "Create completion (legacy)".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.types import ChatResponse, FinishReason
from llm_proxy.wire.openai_chat.usage import write_usage
from llm_proxy.wire.surface import Asked

_FINISH_REASONS: Mapping[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "tool_calls": "stop",
}


def write_response(response: ChatResponse, asked: Asked) -> bytes:
    """Write a complete answer; calls of tools and thoughts have no place in it.

    Args:
        response: The answer.
        asked: What to know of its request.

    Returns:
        JSON.
    """
    choice = write_choice(response.text, response.finish_reason, response.logprobs)
    answer = {**write_frame(asked, response.model), "choices": [choice]}
    if response.usage.source != "none":
        answer["usage"] = write_usage(response.usage)
    return orjson.dumps(answer)


def write_frame(asked: Asked, model: str) -> dict[str, Any]:
    """Write what all answers and all events begin with.

    Args:
        asked: What to know of the request.
        model: The model that the upstream says has answered; may be empty.

    Returns:
        The object, without choices.
    """
    return {
        "id": f"cmpl-{asked.id}",
        "object": "text_completion",
        "created": asked.created,
        "model": model or asked.model,
    }


def write_choice(
    text: str,
    finish_reason: FinishReason | None,
    logprobs: Sequence[Mapping[str, Any]] | None,
    offset: int = 0,
) -> dict[str, Any]:
    """Write the one choice.

    Args:
        text: The text, or a piece of it.
        finish_reason: Why the answer ended, if it did.
        logprobs: One object per token of `text`.
        offset: How many characters came before `text`.

    Returns:
        An entry of ``choices``.
    """
    return {
        "text": text,
        "index": 0,
        "logprobs": None if logprobs is None else _write_logprobs(logprobs, offset),
        "finish_reason": _FINISH_REASONS[finish_reason] if finish_reason else None,
    }


def _write_logprobs(
    logprobs: Sequence[Mapping[str, Any]], offset: int
) -> dict[str, Any]:
    offsets = []
    for token in logprobs:
        offsets.append(offset)
        offset += len(token["token"])
    return {
        "tokens": [token["token"] for token in logprobs],
        "token_logprobs": [token.get("logprob") for token in logprobs],
        "top_logprobs": [
            {top["token"]: top.get("logprob") for top in token["top_logprobs"]}
            for token in logprobs
        ],
        "text_offset": offsets,
    }

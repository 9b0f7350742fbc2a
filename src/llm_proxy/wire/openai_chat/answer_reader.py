"""Reads complete answers of upstreams.

Source: the OpenAI API reference, "The chat completion object"; what others add is named
where it is read.
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import (
    ChatResponse,
    FinishReason,
    Part,
    Text,
    Thinking,
    Usage,
)
from llm_proxy.wire.dialect import ErrorDetail, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_chat.call_reader import read_calls
from llm_proxy.wire.openai_chat.usage import read_usage
from llm_proxy.wire.reading import read_mappings, read_object, read_text

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
# How OpenRouter and Mistral, Z.AI, and DeepSeek say that an answer broke off.
_FAILURES = frozenset(("error", "network_error", "insufficient_system_resource"))


def read_answer(body: bytes) -> dict[str, Any]:
    """Parse a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        An object.

    Raises:
        UpstreamFaultError: It is an error.
        WireError: It is not a JSON object.
    """
    answer = read_object(body)
    raise_fault(answer)
    return answer


def raise_fault(event: Mapping[str, Any]) -> None:
    """Refuse an object that is an error.

    Args:
        event: An answer, one event of a stream, or a choice.

    Raises:
        UpstreamFaultError: It is an error.
    """
    if event.get("error"):
        raise UpstreamFaultError(error_detail(event["error"]))
    if event.get("object") == "error":
        # As vLLM says it.
        raise UpstreamFaultError(error_detail(event))


def read_response(body: bytes) -> ChatResponse:
    """Read a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        The answer; without parts if the model gave none.

    Raises:
        UpstreamFaultError: The body is an error.
        WireError: The body is not an answer.
    """
    answer = read_answer(body)
    choice = read_choices(answer)[0]
    message = message_of(choice)
    refusal = read_text(message, "refusal")
    parts: list[Part] = []
    if thoughts := read_thoughts(message):
        parts.append(Thinking(thoughts))
    if text := read_text(message, "content") or refusal:
        parts.append(Text(text))
    calls = read_calls(message)
    parts += calls
    finish_reason = read_finish_reason(choice, bool(calls))
    model = answer.get("model")
    return ChatResponse(
        parts=tuple(parts),
        model=model if isinstance(model, str) else "",
        finish_reason="refusal" if refusal else finish_reason,
        usage=read_usage(answer.get("usage")) or Usage(),
        logprobs=read_logprobs(choice.get("logprobs")),
    )


def read_choices(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Find the choices of a complete answer.

    Args:
        answer: The answer.

    Returns:
        At least one.

    Raises:
        WireError: There is none.
    """
    choices = read_mappings(answer, "choices")
    if not choices:
        raise WireError("the answer has no choices")
    return choices


def message_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Find the message of a choice.

    Args:
        choice: An entry of ``choices`` in a complete answer.

    Returns:
        The message; of completions, the older API, one that has their text.

    Raises:
        WireError: There is none.
    """
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    if not isinstance(message, dict):
        raise WireError("the choice has no message")
    return message


def read_finish_reason(choice: Mapping[str, Any], called: bool) -> FinishReason:
    """Read why an answer ended.

    Args:
        choice: Has ``finish_reason``, and of OpenRouter ``error`` where it failed.
        called: Whether the model called tools, of which some upstreams say ``stop``.

    Returns:
        The reason; ``stop`` for words that nobody here knows.

    Raises:
        UpstreamFaultError: The answer broke off.
    """
    raise_fault(choice)
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        reason = ""
    if reason in _FAILURES:
        raise UpstreamFaultError(ErrorDetail(502, reason, ""))
    known = _FINISH_REASONS.get(reason, "stop")
    return "tool_calls" if called and known == "stop" else known


def read_thoughts(message: Mapping[str, Any]) -> str:
    """Read what the model thought.

    Args:
        message: A message, or the delta of one.

    Returns:
        DeepSeek's and vLLM's ``reasoning_content``, OpenRouter's ``reasoning``, or
        the parts of type ``thinking`` in Mistral's ``content``.
    """
    for name in ("reasoning_content", "reasoning"):
        thoughts = message.get(name)
        if isinstance(thoughts, str) and thoughts:
            return thoughts
    content = message.get("content")
    if not isinstance(content, list):
        return ""
    return "".join(
        [
            read_text(part, "thinking")
            for part in content
            if isinstance(part, dict) and part.get("type") == "thinking"
        ]
    )


def read_logprobs(logprobs: object) -> tuple[Mapping[str, Any], ...] | None:
    """Read log probabilities.

    Args:
        logprobs: The value of ``logprobs``.

    Returns:
        One object per token of the text or of the refusal; None if there are none.
    """
    if not isinstance(logprobs, dict):
        return None
    tokens = logprobs.get("content") or logprobs.get("refusal")
    if not isinstance(tokens, list):
        return None
    return tuple(
        [
            {**token, "top_logprobs": _read_tops(token.get("top_logprobs"))}
            for token in tokens
            if isinstance(token, dict) and isinstance(token.get("token"), str)
        ]
    )


def _read_tops(tops: object) -> list[dict[str, Any]]:
    if not isinstance(tops, list):
        return []
    return [
        top
        for top in tops
        if isinstance(top, dict) and isinstance(top.get("token"), str)
    ]

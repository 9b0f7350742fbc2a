"""Messages, whole and in events.

Source: the Anthropic API reference, "Create a message" and "Streaming messages".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from llm_proxy.providers.sandbox.conversation import Answer, Call, Thinking, Tokens
from llm_proxy.providers.sandbox.event import named_event

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    # The vendor has no other word for an answer that a filter stopped.
    "content_filter": "refusal",
    "refusal": "refusal",
}
# A block as it starts, and the deltas that complete it.
_Parts = tuple[dict[str, Any], Sequence[Mapping[str, Any]]]


def write_message(answer: Answer) -> dict[str, Any]:
    """Write a ``message``.

    Args:
        answer: What the model says.

    Returns:
        Its JSON.
    """
    content = [_complete(*parts) for parts in _blocks(answer)]
    message = _message(answer, content) | _ending(answer)
    if answer.tokens is not None:
        message["usage"] = _usage(answer.tokens)
    return message


def write_events(answer: Answer) -> list[bytes]:
    """Write the events from ``message_start`` to ``message_stop``.

    Args:
        answer: What the model says.

    Returns:
        The events; if the answer has no ending, they break off inside a block.
    """
    start = _message(answer, [])
    delta: dict[str, Any] = {"type": "message_delta", "delta": _ending(answer)}
    if answer.tokens is not None:
        # The vendor has counted one token when it starts; later figures replace it.
        start["usage"] = _usage(replace(answer.tokens, output=1, thinking=0))
        delta["usage"] = _final_usage(answer.tokens)
    events = [{"type": "message_start", "message": start}, *_block_events(answer)]
    if answer.ending is None:
        events = events[:-1] if len(events) > 1 else events
    else:
        events += [delta, {"type": "message_stop"}]
    return [named_event(event) for event in events]


def _message(answer: Answer, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
    }


def _ending(answer: Answer) -> dict[str, Any]:
    reason = _STOP_REASONS[answer.ending] if answer.ending else None
    if answer.stop_sequence is not None:
        reason = "stop_sequence"
    ending: dict[str, Any] = {
        "stop_reason": reason,
        "stop_sequence": answer.stop_sequence,
    }
    if reason == "refusal":
        details = {"type": "refusal", "category": None, "explanation": None}
        ending["stop_details"] = details
    return ending


def _blocks(answer: Answer) -> Iterator[_Parts]:
    if answer.thinking is not None:
        yield _thinking(answer.thinking)
    if answer.pieces is not None:
        block = {"type": "text", "text": "", "citations": []}
        yield block, [{"type": "text_delta", "text": piece} for piece in answer.pieces]
    for call in answer.calls:
        yield _tool_use(call)


def _thinking(thinking: Thinking) -> _Parts:
    if thinking.redacted:
        return {"type": "redacted_thinking", "data": thinking.signature}, []
    deltas: list[Mapping[str, Any]] = [
        {"type": "thinking_delta", "thinking": piece} for piece in thinking.pieces
    ]
    deltas.append({"type": "signature_delta", "signature": thinking.signature})
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas


def _tool_use(call: Call) -> _Parts:
    block = {
        "type": "tool_use",
        "id": f"toolu_{call.id}",
        "name": call.name,
        "input": {},
        "caller": {"type": "direct"},
    }
    deltas = [
        {"type": "input_json_delta", "partial_json": piece} for piece in call.pieces
    ]
    return block, deltas


def _complete(
    block: dict[str, Any], deltas: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Do what a client does with the deltas of a block."""
    if block["type"] == "tool_use":
        text = "".join(delta["partial_json"] for delta in deltas)
        return block | {"input": orjson.loads(text)}
    for delta in deltas:
        key = delta["type"].removesuffix("_delta")
        block = block | {key: block[key] + delta[key]}
    return block


def _block_events(answer: Answer) -> Iterator[dict[str, Any]]:
    for index, (block, deltas) in enumerate(_blocks(answer)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}


def _usage(tokens: Tokens) -> dict[str, Any]:
    return _final_usage(tokens) | {
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0,
            "ephemeral_1h_input_tokens": 0,
        },
        "inference_geo": "not_available",
        "service_tier": "standard",
        "speed": "standard",
    }


def _final_usage(tokens: Tokens) -> dict[str, Any]:
    """Write the part of the usage that a stream repeats at its end."""
    return {
        "input_tokens": tokens.input - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.thinking},
        "server_tool_use": None,
    }

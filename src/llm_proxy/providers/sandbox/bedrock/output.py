"""Answers of Converse, whole and in events.

Source: the Amazon Bedrock API reference, "Converse" and "ConverseStream".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.providers.sandbox.bedrock.claude import is_claude
from llm_proxy.providers.sandbox.conversation import Answer, Call, Thinking, Tokens

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    # The vendor has no word for it.
    "refusal": "end_turn",
}
_METRICS = {"metrics": {"latencyMs": 1}}
Event = tuple[str, Mapping[str, Any]]
# A block, how its start is told, and the deltas that complete it.
_Parts = tuple[dict[str, Any], Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]


def write_response(answer: Answer) -> dict[str, Any]:
    """Write a ``ConverseResponse`` without its ending.

    Args:
        answer: What the model says.

    Returns:
        Its JSON.
    """
    content = [block for block, _, _ in _blocks(answer)]
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}} | _metadata(answer)


def write_events(answer: Answer, ending: Mapping[str, Any]) -> list[Event]:
    """Write the events from ``messageStart`` to ``metadata``.

    Args:
        answer: What the model says.
        ending: What `write_ending` makes of it.

    Returns:
        The names of the events and their JSON; if the answer has no ending, they just
        break off.
    """
    events = [("messageStart", {"role": "assistant"}), *_block_events(answer)]
    if answer.ending is not None:
        events += [("messageStop", ending), ("metadata", _metadata(answer))]
    return events


def write_ending(answer: Answer) -> dict[str, Any]:
    """Write why an answer ends.

    Args:
        answer: What the model says.

    Returns:
        A member of the response, and of the event ``messageStop``.
    """
    reason = _STOP_REASONS[answer.ending] if answer.ending else None
    if answer.stop_sequence is not None:
        reason = "stop_sequence"
    return {"stopReason": reason}


def _metadata(answer: Answer) -> dict[str, Any]:
    return ({"usage": _usage(answer.tokens)} if answer.tokens else {}) | _METRICS


def _usage(tokens: Tokens) -> dict[str, int]:
    return {
        "inputTokens": tokens.input - tokens.cached,
        "outputTokens": tokens.output,
        "totalTokens": tokens.input + tokens.output,
        "cacheReadInputTokens": tokens.cached,
        "cacheWriteInputTokens": 0,
    }


def _block_events(answer: Answer) -> Iterator[Event]:
    for index, (_, start, deltas) in enumerate(_blocks(answer)):
        place = {"contentBlockIndex": index}
        # Texts and thoughts begin with their first delta.
        if start is not None:
            yield "contentBlockStart", {"start": start} | place
        for delta in deltas:
            yield "contentBlockDelta", {"delta": delta} | place
        yield "contentBlockStop", place


def _blocks(answer: Answer) -> Iterator[_Parts]:
    thinking = answer.thinking
    if thinking and (is_claude(answer.model) or thinking.open):
        yield _reasoning(thinking)
    if answer.pieces is not None:
        deltas = [{"text": piece} for piece in answer.pieces]
        yield {"text": answer.text}, None, deltas
    for call in answer.calls:
        yield _tool_use(call)


def _reasoning(thinking: Thinking) -> _Parts:
    if thinking.redacted:
        block = {"redactedContent": thinking.signature}
        return {"reasoningContent": block}, None, [{"reasoningContent": block}]
    signature = {"signature": thinking.signature}
    shown = {"text": thinking.text} | signature
    deltas = [*({"text": piece} for piece in thinking.pieces), signature]
    return (
        {"reasoningContent": {"reasoningText": shown}},
        None,
        [{"reasoningContent": delta} for delta in deltas],
    )


def _tool_use(call: Call) -> _Parts:
    start = {"toolUseId": f"tooluse_{call.id}", "name": call.name}
    block = start | {"input": orjson.loads(call.arguments)}
    deltas = [{"toolUse": {"input": piece}} for piece in call.pieces]
    return {"toolUse": block}, {"toolUse": start}, deltas

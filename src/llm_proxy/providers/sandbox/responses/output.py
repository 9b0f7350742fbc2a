"""The output of a response: the items that an answer becomes."""

from collections.abc import Sequence
from typing import Any

from llm_proxy.providers.sandbox.conversation import Answer, Call, Thinking
from llm_proxy.providers.sandbox.probabilities import probabilities_of


def output_of(answer: Answer, *, sealed: bool) -> list[dict[str, Any]]:
    """Write an answer as items.

    Args:
        answer: What the model says.
        sealed: Whether thoughts come with their encrypted content.

    Returns:
        The thoughts, the message and the calls, as far as there are any.
    """
    items = []
    if answer.thinking is not None:
        items.append(_reasoning(answer.id, answer.thinking, sealed=sealed))
    if answer.pieces is not None:
        items.append(_message(answer))
    return [*items, *map(_call, answer.calls)]


def logprobs_of(
    pieces: Sequence[str], alternatives: int | None
) -> list[dict[str, Any]]:
    """Write the log probabilities of a text.

    Args:
        pieces: The text, one token each.
        alternatives: How many to report for each token; None for no report at all.

    Returns:
        One entry for each token, or none at all.
    """
    if alternatives is None:
        return []
    return [
        _logprob(token.token, token.logprob)
        | {"top_logprobs": [_logprob(*other) for other in token.alternatives]}
        for token in probabilities_of(pieces, alternatives)
    ]


def _logprob(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _reasoning(answer_id: str, thinking: Thinking, *, sealed: bool) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
    item = {"id": f"rs_{answer_id}", "type": "reasoning", "summary": summary}
    return item | {"encrypted_content": thinking.signature} if sealed else item


def _message(answer: Answer) -> dict[str, Any]:
    whole = answer.ending not in ("length", "content_filter", None)
    part: dict[str, Any]
    if answer.ending == "refusal":
        part = {"type": "refusal", "refusal": answer.text}
    else:
        logprobs = logprobs_of(answer.pieces or (), answer.top_logprobs)
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        part["logprobs"] = logprobs
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "status": "completed" if whole else "incomplete",
        "content": [part],
    }


def _call(call: Call) -> dict[str, Any]:
    common = {"call_id": f"call_{call.id}", "name": call.name}
    if call.namespace is not None:
        common["namespace"] = call.namespace
    if call.custom:
        item = {"id": f"ctc_{call.id}", "type": "custom_tool_call"}
        return item | common | {"input": call.arguments}
    item = {"id": f"fc_{call.id}", "type": "function_call", "status": "completed"}
    return item | common | {"arguments": call.arguments}

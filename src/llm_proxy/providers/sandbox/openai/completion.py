"""Chat completions, whole and in chunks.

Source: the OpenAI API reference, "The chat completion object" and "The chat completion
chunk object".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_proxy.providers.sandbox.conversation import Answer, Call, Tokens
from llm_proxy.providers.sandbox.event import data_event
from llm_proxy.providers.sandbox.probabilities import probabilities_of

# A constant, because the same request has to give the same bytes.
CREATED = 1735689600
_DONE = b"data: [DONE]\n\n"
_FINISH_REASONS = {"refusal": "stop"}


def write_completion(answer: Answer) -> dict[str, Any]:
    """Write a ``chat.completion``.

    Args:
        answer: What the model says.

    Returns:
        Its JSON; every choice is the same.
    """
    refused = answer.ending == "refusal"
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused else answer.text,
        "refusal": answer.text if refused else None,
        "annotations": [],
    }
    if answer.thinking and answer.thinking.open:
        message["reasoning_content"] = answer.thinking.text
    if answer.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in answer.calls]
    choice = {
        "message": message,
        "logprobs": _logprobs(answer, answer.pieces or ()),
        "finish_reason": _finish_reason(answer),
    }
    choices = [{"index": index} | choice for index in range(answer.copies)]
    completion = _frame(answer, "chat.completion", choices)
    if answer.tokens is not None:
        completion["usage"] = _usage(answer.tokens)
    return completion


def write_chunks(answer: Answer, *, include_usage: bool) -> list[bytes]:
    """Write ``chat.completion.chunk`` events, up to ``[DONE]``.

    Args:
        answer: What the model says.
        include_usage: Whether to end with a chunk that has the usage.

    Returns:
        The events; if the answer has no ending, they just break off.
    """
    tokens = answer.tokens if include_usage else None
    # With include_usage, the vendor sends a null usage in all chunks but the last.
    common = {} if tokens is None else {"usage": None}
    choices = [*_choices(answer)]
    if answer.ending is not None:
        choices.append({"delta": {}, "finish_reason": _finish_reason(answer)})
    chunks = [
        _chunk(answer, [{"index": index, "logprobs": None} | choice]) | common
        for choice in choices
        for index in range(answer.copies)
    ]
    if answer.ending is None:
        return [data_event(chunk) for chunk in chunks]
    if tokens is not None:
        chunks.append(_chunk(answer, []) | {"usage": _usage(tokens)})
    return [*map(data_event, chunks), _DONE]


def _choices(answer: Answer) -> Iterator[dict[str, Any]]:
    """Write everything but the ending, piece by piece."""
    for delta in _silent_deltas(answer):
        yield {"delta": delta, "finish_reason": None}
    key = "refusal" if answer.ending == "refusal" else "content"
    for piece in answer.pieces or ():
        yield {
            "delta": {key: piece},
            "logprobs": _logprobs(answer, (piece,)),
            "finish_reason": None,
        }
    for index, call in enumerate(answer.calls):
        for delta in _call_deltas(index, call):
            yield {"delta": {"tool_calls": [delta]}, "finish_reason": None}


def _silent_deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    """Write what comes before the text."""
    yield {"role": "assistant", "content": None if answer.pieces is None else ""}
    if answer.thinking and answer.thinking.open:
        for piece in answer.thinking.pieces:
            yield {"reasoning_content": piece}


def _call_deltas(index: int, call: Call) -> Iterator[dict[str, Any]]:
    yield {"index": index} | _call(call, "")
    kind, key = ("custom", "input") if call.custom else ("function", "arguments")
    for piece in call.pieces:
        yield {"index": index, kind: {key: piece}}


def _call(call: Call, arguments: str) -> dict[str, Any]:
    kind, key = ("custom", "input") if call.custom else ("function", "arguments")
    return {
        "id": f"call_{call.id}",
        "type": kind,
        kind: {"name": call.name, key: arguments},
    }


def _logprobs(answer: Answer, pieces: Sequence[str]) -> dict[str, Any] | None:
    if answer.top_logprobs is None:
        return None
    entries = [
        _token(entry.token, entry.logprob)
        | {"top_logprobs": [_token(*pair) for pair in entry.alternatives]}
        for entry in probabilities_of(pieces, answer.top_logprobs)
    ]
    refused = answer.ending == "refusal"
    return {
        "content": None if refused else entries,
        "refusal": entries if refused else None,
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _finish_reason(answer: Answer) -> str | None:
    ending = answer.ending
    return _FINISH_REASONS.get(ending, ending) if ending else None


def _chunk(answer: Answer, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return _frame(answer, "chat.completion.chunk", choices)


def _frame(
    answer: Answer, kind: str, choices: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write what completions and chunks have in common, around the choices."""
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": CREATED,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
        "choices": choices,
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }

"""Answers of the Gemini API, whole and in pieces.

Source: the Gemini API reference, "GenerateContentResponse".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.providers.sandbox.conversation import Answer, Call, Tokens
from llm_proxy.providers.sandbox.event import data_event
from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.signatures import sign
from llm_proxy.providers.sandbox.probabilities import probabilities_of

_FINISH_REASONS: Mapping[str, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    # The vendor has no word for these.
    "tool_calls": "STOP",
    "refusal": "STOP",
}
_Part = dict[str, Any]


def write_answer(answer: Answer) -> dict[str, Any]:
    """Write a ``GenerateContentResponse``.

    Args:
        answer: What the model says.

    Returns:
        Its JSON; every candidate is the same.
    """
    parts = [*_thoughts(answer), *_texts(answer), *_calls(answer)]
    candidate = _candidate(parts, answer.pieces or (), answer) | _ending(answer)
    return _frame(answer, candidate, _usage(answer.tokens))


def write_events(answer: Answer) -> list[bytes]:
    """Write an answer piece by piece; the last one has the finish reason.

    Args:
        answer: What the model says.

    Returns:
        The events; if the answer has no ending, they just break off.
    """
    candidates = [*_candidates(answer)]
    begun = _usage(answer.tokens and Tokens(answer.tokens.input, 0))
    events = [_frame(answer, candidate, begun) for candidate in candidates]
    if answer.ending is not None:
        signature = _signature(answer)
        parts = [{"text": ""} | signature] if answer.pieces or signature else []
        last = _candidate(parts, (), answer) | _ending(answer)
        events.append(_frame(answer, last, _usage(answer.tokens)))
    return [data_event(event) for event in events]


def _candidates(answer: Answer) -> Iterator[dict[str, Any]]:
    """Write everything but the ending, piece by piece."""
    for part in _pieces_of_thoughts(answer):
        yield _candidate([part], (), answer)
    for piece in answer.pieces or ():
        yield _candidate([{"text": piece}], (piece,), answer)
    for part in _calls(answer):
        yield _candidate([part], (), answer)


def _thoughts(answer: Answer) -> list[_Part]:
    parts = [*_pieces_of_thoughts(answer)]
    text = "".join(part["text"] for part in parts)
    return [{"text": text, "thought": True}] if text else []


def _pieces_of_thoughts(answer: Answer) -> Iterator[_Part]:
    for piece in answer.thinking.pieces if answer.thinking else ():
        yield {"text": piece, "thought": True}


def _texts(answer: Answer) -> list[_Part]:
    # A filter takes the text away, and what carried it.
    if answer.text is None or (not answer.text and answer.ending == "content_filter"):
        return []
    return [{"text": answer.text} | _signature(answer)]


def _signature(answer: Answer) -> _Part:
    """Sign the text of an answer that was thought about, if nothing else is signed."""
    if answer.thinking is None or answer.calls:
        return {}
    return {"thoughtSignature": sign(answer.id)}


def _calls(answer: Answer) -> list[_Part]:
    gemini_3 = ModelID(answer.model).is_gemini_3
    parts = [_call(call, with_id=gemini_3) for call in answer.calls]
    if parts and (gemini_3 or answer.thinking):
        parts[0]["thoughtSignature"] = sign(answer.id)
    return parts


def _call(call: Call, *, with_id: bool) -> _Part:
    function = {"name": call.name, "args": orjson.loads(call.arguments)}
    return {"functionCall": function | ({"id": call.id} if with_id else {})}


def _candidate(
    parts: Sequence[_Part], pieces: Sequence[str], answer: Answer
) -> dict[str, Any]:
    content = ({"parts": parts} if parts else {}) | {"role": "model"}
    candidate: dict[str, Any] = {"content": content}
    if answer.top_logprobs is not None and pieces:
        candidate["logprobsResult"] = _logprobs(pieces, answer.top_logprobs)
    return candidate


def _logprobs(pieces: Sequence[str], alternatives: int) -> dict[str, Any]:
    tokens = probabilities_of(pieces, alternatives)
    result: dict[str, Any] = {
        "chosenCandidates": [_token(each.token, each.logprob) for each in tokens]
    }
    if alternatives:
        result["topCandidates"] = [
            {"candidates": [_token(*pair) for pair in each.alternatives]}
            for each in tokens
        ]
    return result


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logProbability": logprob}


def _ending(answer: Answer) -> dict[str, Any]:
    return {"finishReason": _FINISH_REASONS[answer.ending]} if answer.ending else {}


def _frame(
    answer: Answer, candidate: Mapping[str, Any], usage: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "candidates": [{**candidate, "index": index} for index in range(answer.copies)],
        **usage,
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _usage(tokens: Tokens | None) -> dict[str, Any]:
    """Write the counts; the vendor's encoder leaves those out that are zero."""
    if tokens is None:
        return {}
    counts = {
        "promptTokenCount": tokens.input,
        "cachedContentTokenCount": tokens.cached,
        "candidatesTokenCount": tokens.output - tokens.thinking,
        "thoughtsTokenCount": tokens.thinking,
        "totalTokenCount": tokens.input + tokens.output,
    }
    details = [{"modality": "TEXT", "tokenCount": tokens.input}]
    usage = {name: count for name, count in counts.items() if count}
    return {"usageMetadata": usage | {"promptTokensDetails": details}}

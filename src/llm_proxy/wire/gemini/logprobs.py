"""Reads the log probabilities of the Gemini API.

Source: the Gemini API reference, "LogprobsResult".
"""

from collections.abc import Mapping
from typing import Any


def read_logprobs(result: object) -> tuple[Mapping[str, Any], ...] | None:
    """Read ``logprobsResult`` into the form of OpenAI's API.

    Args:
        result: Whatever stood there.

    Returns:
        One object per token, as in `ChatResponse`; None if there are none.
    """
    if not isinstance(result, dict):
        return None
    chosen = _list(result.get("chosenCandidates"))
    top = _list(result.get("topCandidates"))
    tokens = []
    for position, candidate in enumerate(chosen):
        token = _token(candidate)
        if token is not None:
            step = top[position] if position < len(top) else None
            others = step.get("candidates") if isinstance(step, dict) else None
            found = [_token(other) for other in _list(others)]
            token["top_logprobs"] = [each for each in found if each is not None]
            tokens.append(token)
    return tuple(tokens) or None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _token(candidate: object) -> dict[str, Any] | None:
    if not isinstance(candidate, dict):
        return None
    token, logprob = candidate.get("token"), candidate.get("logProbability", 0.0)
    if not isinstance(token, str) or not isinstance(logprob, int | float):
        return None
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

"""What the instance says about how it has asked upstreams."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.selftest.reading import dig


def judge_attempts(trace: object, most: int) -> list[str]:
    """Count how often each deployment was asked.

    Args:
        trace: The answer of ``GET /api/v1/traces/{id}``.
        most: Attempts at one deployment.

    Returns:
        Complaints.
    """
    attempts = _attempts(trace)
    if attempts is None:
        return ["the trace tells no attempts"]
    asked = [f"{dig(each, 'provider')}/{dig(each, 'model')}" for each in attempts]
    return [
        f"{asked.count(name)} attempts at {name}"
        for name in dict.fromkeys(asked)
        if asked.count(name) > most
    ]


def judge_restraint(trace: object, most: int, seconds: float) -> list[str]:
    """Count the attempts of the first seconds.

    Args:
        trace: The answer of ``GET /api/v1/traces/{id}``.
        most: Attempts in these seconds.
        seconds: Since the first attempt began.

    Returns:
        Complaints.
    """
    attempts = _attempts(trace)
    if not attempts:
        return ["the trace tells no attempts"]
    now, begun = 0.0, list[float]()
    for attempt in attempts:
        now += dig(attempt, "waitedSeconds") or 0.0
        begun.append(now)
        now += dig(attempt, "seconds") or 0.0
    early = sum(each - begun[0] < seconds for each in begun)
    return [f"{early} attempts in {seconds:g} s"] if early > most else []


def _attempts(trace: object) -> list[Mapping[str, Any]] | None:
    attempts = dig(trace, "data", "attempts")
    if not isinstance(attempts, list):
        return None
    return [each for each in attempts if dig(each, "outcome") != "passed_over"]

"""What must be true of every error, whoever caused it."""

from collections.abc import Iterable, Sequence

from llm_proxy.selftest.catalogue import Failure
from llm_proxy.selftest.instance import Reply
from llm_proxy.selftest.reading import Reading, Told
from llm_proxy.selftest.surface import Surface

MOST_ADVICE_SECONDS = 3600
"""The longest wait that callers may be told."""
# What no caller may read: words of the upstream about the operator's key, addresses
# from the inside, traces of our code, pages of somebody else.
_INSIDE = ("Incorrect API key", "sandbox.invalid", "Traceback (most", "<!doctype")
_NAMES = ("x-request-id", "x-llm-proxy-trace", "x-llm-proxy-attempts")


def check_refusal(
    surface: Surface, reply: Reply, reading: Reading, failures: Sequence[Failure]
) -> list[str]:
    """Hold an error against what callers may be told.

    Args:
        surface: How it was asked.
        reply: What came back, with a status that is not 200.
        reading: What it says.
        failures: What may be told.

    Returns:
        Complaints.
    """
    complaints = check_advice(reply)
    kind = reply.headers.get("content-type", "nothing")
    if not kind.startswith("application/json"):
        complaints.append(f"the error is sent as {kind}")
    if reading.error is None:
        return [*complaints, "the error is not in the surface's envelope"]
    complaints += check_code(surface, reading.error, failures)
    statuses = _statuses(surface, failures)
    if reply.status not in statuses:
        told = f"status {reply.status} ({reading.error.code})"
        complaints.append(f"{told}, not {_one_of(statuses)}")
    is_ours = all(failure.is_final for failure in failures)
    if is_ours and reply.headers.get("x-should-retry") != "false":
        complaints.append("no x-should-retry: false")
    return complaints


def check_code(surface: Surface, error: Told, failures: Iterable[Failure]) -> list[str]:
    """Hold an error's words against what callers may be told.

    Args:
        surface: How it was asked; only the native one tells our codes.
        error: What was told.
        failures: What may be told.

    Returns:
        Complaints.
    """
    codes = [failure.code for failure in failures]
    if not error.message:
        return ["the error says nothing"]
    if surface.is_native and error.code not in codes:
        return [f"{error.code}, not {_one_of(codes)}"]
    return []


def check_advice(reply: Reply) -> list[str]:
    """Check that ``Retry-After``, if it is there, is one that a client can follow.

    Args:
        reply: What came back.

    Returns:
        Complaints.
    """
    advice = reply.headers.get("retry-after")
    if advice is None:
        return []
    is_number = advice.isascii() and advice.isdigit() and len(advice) < 6
    if is_number and int(advice) <= MOST_ADVICE_SECONDS:
        return []
    return [f"Retry-After: {advice[:20]}"]


def find_secrets(reply: Reply, secret: str) -> list[str]:
    """Look for what callers must not read.

    Args:
        reply: What came back.
        secret: The token that was sent.

    Returns:
        Complaints, which do not repeat the secret.
    """
    told = "\n".join((*reply.headers.values(), reply.body.decode(errors="replace")))
    complaints = [f"the answer repeats {words!r}" for words in _INSIDE if words in told]
    if secret in told:
        complaints.append("the answer repeats the token")
    return complaints


def find_unnamed(reply: Reply) -> list[str]:
    """Look for what every answer has to say about itself.

    Args:
        reply: What came back.

    Returns:
        Complaints.
    """
    return [f"no {name}" for name in _NAMES if not reply.headers.get(name)]


def _statuses(surface: Surface, failures: Iterable[Failure]) -> set[int]:
    statuses: set[int] = set()
    for failure in failures:
        if failure.code == "LLM_UNAVAILABLE":
            statuses |= surface.unavailable
        elif surface.is_native:
            statuses.add(failure.status)
        else:
            statuses.add(failure.v1_status or failure.status)
    return statuses


def _one_of(values: Iterable[object]) -> str:
    return " or ".join(sorted(map(str, values)))

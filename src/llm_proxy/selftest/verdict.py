"""Whether a reply to a fault keeps the promises: from values to complaints."""

from dataclasses import dataclass
from typing import Literal

from llm_proxy.selftest.catalogue import COOLING_DOWN, Fault
from llm_proxy.selftest.checks import (
    check_code,
    check_refusal,
    find_secrets,
    find_unnamed,
)
from llm_proxy.selftest.instance import Reply
from llm_proxy.selftest.reading import Reading, read_events, read_json
from llm_proxy.selftest.surface import Surface

Way = Literal["alone", "fallback", "buffer", "continue"]
Outcome = Literal["whole", "refused", "broken", "torn"]

# The fallback of every case.
_FALLBACK_MODEL = "sandbox"
# So much of an answer has come before any stream of the sandbox dies.
_OPENING = 12
_BREAKER = "the breaker was open"
_GIVEN_UP = "it was not asked again: too many failures, or no budget for retries"
_DEADLINE = "the caller's deadline came before the instance's time-out"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to try.

    Attributes:
        fault: What the upstream does.
        surface: How it is asked.
        stream: Whether a stream is asked for.
        way: What the instance may do about it.
    """

    fault: Fault
    surface: Surface
    stream: bool
    way: Way


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say about a reply.

    Attributes:
        complaints: Broken promises; none if all are kept.
        reservation: Why a clean reply does not show what it should; empty if it does.
    """

    complaints: tuple[str, ...] = ()
    reservation: str = ""


def ways_of(fault: Fault, stream: bool) -> tuple[Way, ...]:
    """Say what a fault is tried with.

    Args:
        fault: What the upstream does.
        stream: Whether a stream is asked for.

    Returns:
        The ways, in the order of the scorecard.
    """
    if fault.asked == ("plain" if stream else "stream"):
        return ()
    if not fault.failures or fault.recovers:
        return ("alone",)
    if stream and fault.begins and fault.reroutes == "always":
        return "alone", "fallback", "buffer", "continue"
    return "alone", "fallback"


def allowed_outcomes(case: Case) -> frozenset[Outcome]:
    """Say how a call may end.

    Args:
        case: What was asked for.

    Returns:
        The outcomes that keep the promises.
    """
    fault = case.fault
    if not fault.failures or fault.recovers or case.way == "buffer":
        return frozenset({"whole"})
    allowed: set[Outcome] = set()
    is_rerouted = case.way != "alone" and fault.reroutes != "never"
    if is_rerouted or _passes(case):
        allowed.add("whole")
    if not is_rerouted or fault.reroutes == "perhaps":
        allowed.add("refused")
    if case.stream and fault.begins:
        allowed.add("broken")
    return frozenset(allowed)


def read(surface: Surface, reply: Reply, stream: bool) -> Reading:
    """Read a reply in the words of its surface.

    Args:
        surface: How it was asked.
        reply: What came back.
        stream: Whether a stream was asked for.

    Returns:
        What it says.
    """
    if reply.status != 200:
        return Reading(error=surface.read_error(read_json(reply.body)))
    if stream:
        return surface.read_stream(read_events(reply.body))
    return surface.read_answer(read_json(reply.body))


def outcome_of(reply: Reply, reading: Reading) -> Outcome:
    """Say in one word how a call has ended.

    Args:
        reply: What came back.
        reading: What it says.

    Returns:
        The word; ``torn`` is an end that looks like none, or like a good one.
    """
    if reply.status != 200:
        return "refused"
    if reading.error is not None:
        return "broken"
    return "whole" if reading.whole else "torn"


def judge(case: Case, reply: Reply, expected_text: str, secret: str) -> Verdict:
    """Hold a reply against the promises.

    Args:
        case: What was asked for.
        reply: What came back.
        expected_text: What the fallback answers to the question.
        secret: What must not come back, whatever happens.

    Returns:
        The verdict.
    """
    if reply.broken:
        return Verdict((reply.broken,))
    reading = read(case.surface, reply, case.stream)
    complaints = [
        *reading.faults,
        *find_secrets(reply, secret),
        *find_unnamed(reply),
    ]
    outcome, allowed = outcome_of(reply, reading), allowed_outcomes(case)
    reservation = _reservation(case, outcome, reply, reading)
    if outcome not in allowed and not reservation:
        wanted = " or ".join(sorted(allowed))
        complaints.append(f"{_told(outcome, reply, reading)}, not {wanted}")
    elif reservation == _BREAKER:
        complaints += check_refusal(case.surface, reply, reading, (COOLING_DOWN,))
    elif outcome == "refused":
        complaints += judge_refusal(case, reply, reading)
    elif outcome == "broken":
        complaints += judge_break(case, reading)
    else:
        complaints += judge_answer(case, reply, reading, expected_text)
    return Verdict(tuple(complaints), reservation)


def judge_refusal(case: Case, reply: Reply, reading: Reading) -> list[str]:
    """Hold an error with a status of its own against the promises.

    Args:
        case: What was asked for.
        reply: What came back.
        reading: What it says.

    Returns:
        Complaints.
    """
    complaints = check_refusal(case.surface, reply, reading, case.fault.failures)
    if case.fault.has_advice and "retry-after" not in reply.headers:
        complaints.append("no Retry-After, though the upstream sent one")
    return complaints


def judge_break(case: Case, reading: Reading) -> list[str]:
    """Hold a stream that an error has ended against the promises.

    Args:
        case: What was asked for.
        reading: What it says; what the dialect forbids is in its faults.

    Returns:
        Complaints.
    """
    if reading.error is None:
        return ["the stream ends without an error"]
    failures = (*case.fault.failures, COOLING_DOWN)
    complaints = check_code(case.surface, reading.error, failures)
    if reading.has_reason and not case.fault.comes_late:
        complaints.append("an error in an answer that has ended well")
    return complaints


def judge_answer(
    case: Case, reply: Reply, reading: Reading, expected_text: str
) -> list[str]:
    """Hold a whole answer against the promises.

    Args:
        case: What was asked for.
        reply: What came back.
        reading: What it says.
        expected_text: What the fallback answers to the question.

    Returns:
        Complaints.
    """
    if not reading.text:
        return [] if _passes(case) else ["the answer is empty"]
    is_rerouted = case.way != "alone" and case.fault.reroutes != "never"
    if case.fault.failures and not case.fault.recovers and not is_rerouted:
        return ["the answer has a text that nobody has sent"]
    if case.way == "alone":
        return []
    complaints = []
    if case.way == "continue":
        # What the next model makes of a beginning is its own affair.
        if not reading.text.startswith(expected_text[:_OPENING]):
            complaints.append("the answer has lost its beginning")
    else:
        if reading.text != expected_text:
            complaints.append("the answer is not the fallback's, or not all of it")
        if reading.model.rpartition("/")[2] != _FALLBACK_MODEL:
            complaints.append(f"the answer says that {reading.model} has answered")
    who = reply.headers.get("x-llm-proxy-model")
    # The head of a recovered stream is out before it is known who will answer.
    if case.way == "fallback" and who != "sandbox/sandbox":
        complaints.append(f"x-llm-proxy-model says {who}")
    if reading.usage is None or 0 in reading.usage:
        complaints.append("the answer does not tell its usage")
    return complaints


def _told(outcome: Outcome, reply: Reply, reading: Reading) -> str:
    code = f", {reading.error.code}" if reading.error is not None else ""
    return f"{outcome} (status {reply.status}{code})"


def _passes(case: Case) -> bool:
    return case.fault.passes and not case.surface.is_native


def _reservation(case: Case, outcome: Outcome, reply: Reply, reading: Reading) -> str:
    fault, is_rerouted = case.fault, case.way != "alone"
    if outcome == "refused" and _is_cooling_down(case.surface, reply, reading):
        # With a fallback, an open breaker is a reason to ask it, and no excuse.
        return "" if is_rerouted and fault.reroutes == "always" else _BREAKER
    if outcome in allowed_outcomes(case):
        return ""
    if outcome == "refused" and fault.recovers:
        return _GIVEN_UP
    if outcome in ("refused", "broken") and is_rerouted and fault.waits:
        return _DEADLINE
    return ""


def _is_cooling_down(surface: Surface, reply: Reply, reading: Reading) -> bool:
    if surface.is_native:
        return reading.error is not None and reading.error.code == COOLING_DOWN.code
    return reply.status == COOLING_DOWN.status

"""The ordinary calls around the faults: health, explanations, deadlines, hang-ups."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

from llm_proxy.selftest.faults import SURFACES
from llm_proxy.selftest.instance import Instance
from llm_proxy.selftest.native import Native
from llm_proxy.selftest.reading import dig, read_json
from llm_proxy.selftest.result import Result
from llm_proxy.selftest.surface import Surface
from llm_proxy.selftest.traces import judge_restraint
from llm_proxy.selftest.verdict import Verdict, outcome_of, read

_IN_FLIGHT = re.compile(rb"^llm_active_requests (\S+)$", re.MULTILINE)
_SETTLED_SECONDS = 5.0
_LEAVERS = 4
# At most so many attempts in so many seconds.
_RESTRAINT = (2, 1.5)
# Method, path, body, and where in the answer something must stand.
_PAGES: tuple[tuple[str, str, Mapping[str, Any] | None, str], ...] = (
    ("GET", "/livez", None, "status"),
    ("GET", "/readyz", None, "status"),
    ("GET", "/health", None, "status"),
    ("GET", "/api/v1/models", None, "data"),
    ("GET", "/v1/models", None, "data"),
    ("POST", "/api/v1/explain", {"model": "sandbox/sandbox"}, "data"),
)


async def try_pages(instance: Instance) -> list[Result]:
    """Look at what operators look at.

    Args:
        instance: Whom to ask.

    Returns:
        One result per page.
    """
    results = []
    for method, path, body, member in _PAGES:
        headers = {"x-api-token": instance.token}
        reply = await instance.request(method, path, headers=headers, json=body)
        complaints = [reply.broken] if reply.broken else []
        if reply.status != 200:
            complaints.append(f"status {reply.status}, not 200")
        if not dig(read_json(reply.body), member):
            complaints.append(f"no {member}")
        results.append(
            Result(f"{method} {path}", Verdict(tuple(complaints)), reply.seconds)
        )
    return results


async def try_ordinary_calls(instance: Instance, when: str) -> list[Result]:
    """Ask a model that answers, on all surfaces, plain and streamed.

    Args:
        instance: Whom to ask.
        when: For people.

    Returns:
        One result per call.
    """
    results = []
    for surface in SURFACES:
        for stream in (False, True):
            reply = await instance.ask(surface, "sandbox", stream=stream)
            reading = read(surface, reply, stream)
            complaints = [reply.broken] if reply.broken else [*reading.faults]
            if outcome_of(reply, reading) != "whole":
                complaints.append(f"no whole answer (status {reply.status})")
            kind = "stream" if stream else "plain"
            name = f"an ordinary call {when}, {surface.name} {kind}"
            results.append(Result(name, Verdict(tuple(complaints)), reply.seconds))
    return results


async def try_deadline(instance: Instance) -> Result:
    """Ask a model that never answers, with one second of patience.

    Args:
        instance: Whom to ask.

    Returns:
        The result.
    """
    reply = await instance.ask(
        Native(), "slow-first-token-30000", headers={"x-request-timeout": "1"}
    )
    complaints = [reply.broken] if reply.broken else []
    if reply.status != 504:
        complaints.append(f"status {reply.status}, not 504")
    if reply.seconds > 1 + _SETTLED_SECONDS:
        complaints.append(f"it took {reply.seconds:.1f} s")
    name = "x-request-timeout: 1 is obeyed"
    return Result(name, Verdict(tuple(complaints)), reply.seconds)


async def try_restraint(instance: Instance) -> Result:
    """Look how soon the instance comes again after a 429 with ``Retry-After: 2``.

    Args:
        instance: Whom to ask.

    Returns:
        The result.
    """
    reply = await instance.ask(
        Native(), "fault-429-retry-after-2", headers={"x-request-timeout": "5"}
    )
    complaints = [reply.broken] if reply.broken else []
    if reply.status not in (502, 503, 504):
        complaints.append(f"status {reply.status}")
    trace = await instance.trace_of(reply)
    complaints += judge_restraint(trace, *_RESTRAINT)
    name = "Retry-After: 2 is obeyed"
    return Result(name, Verdict(tuple(complaints)), reply.seconds)


async def try_hang_ups(instance: Instance) -> list[Result]:
    """Hang up in all ways, and see that nothing stays behind.

    Args:
        instance: Whom to ask.

    Returns:
        One result per surface and way.
    """
    return [
        await _hang_up(instance, surface, name, stream, after_bytes)
        for surface in SURFACES
        for name, stream, after_bytes in (
            ("in a plain call", False, 0),
            ("before the first token", True, 0),
            ("in the middle of a stream", True, 1),
        )
    ]


async def _hang_up(
    instance: Instance, surface: Surface, name: str, stream: bool, after_bytes: int
) -> Result:
    before = await _in_flight(instance)
    model = "slow-stream-1000" if after_bytes else "slow-first-token-30000"
    leave = instance.leave(surface, model, stream=stream, after_bytes=after_bytes)
    others = [
        instance.leave(surface, model, stream=stream, after_bytes=after_bytes)
        for _ in range(_LEAVERS - 1)
    ]
    await asyncio.gather(leave, *others)
    begun = time.monotonic()
    verdict = Verdict()
    if before is None:
        verdict = Verdict(reservation="/metrics does not tell what is in flight")
    else:
        left = await _wait_until_settled(instance, before)
        if left > before:
            verdict = Verdict((f"{left - before:g} calls are still in flight",))
    seconds = time.monotonic() - begun
    return Result(f"hanging up {name}, {surface.name}", verdict, seconds)


async def _wait_until_settled(instance: Instance, before: float) -> float:
    end = time.monotonic() + _SETTLED_SECONDS
    while True:
        now = await _in_flight(instance)
        left = before + _LEAVERS if now is None else now
        if left <= before or time.monotonic() > end:
            return left
        await asyncio.sleep(0.05)


async def _in_flight(instance: Instance) -> float | None:
    reply = await instance.request(
        "GET", "/metrics", headers={"x-api-token": instance.token}
    )
    found = _IN_FLIGHT.search(reply.body)
    return float(found[1]) if found else None

"""Tries the faults of the catalogue on an instance."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from llm_proxy.selftest.anthropic import Anthropic
from llm_proxy.selftest.catalogue import (
    CREDENTIAL_FAULTS,
    FAULTS,
    ODDITIES,
    Fault,
)
from llm_proxy.selftest.instance import Instance, Reply
from llm_proxy.selftest.native import Native
from llm_proxy.selftest.openai import OpenAI
from llm_proxy.selftest.result import Result
from llm_proxy.selftest.surface import Surface
from llm_proxy.selftest.traces import judge_attempts
from llm_proxy.selftest.verdict import (
    Case,
    Way,
    judge,
    ways_of,
)

SURFACES: tuple[Surface, ...] = (Native(), OpenAI(), Anthropic())
"""The surfaces, in the order of the scorecard."""

_AT_A_TIME = 8
_FALLBACK = {"x-llm-proxy-fallbacks": "sandbox/sandbox"}
_HEADERS: Mapping[Way, Mapping[str, str]] = {
    "alone": {"x-llm-proxy-stream-recovery": "off"},
    "fallback": _FALLBACK | {"x-llm-proxy-stream-recovery": "off"},
    "buffer": _FALLBACK | {"x-llm-proxy-stream-recovery": "buffer"},
    "continue": _FALLBACK | {"x-llm-proxy-stream-recovery": "continue"},
}
# How often, and how long at a time, to wait for a breaker to close.
_WAITS = 3
_LONGEST_WAIT_SECONDS = 2


async def try_faults(instance: Instance, expected_text: str) -> list[Result]:
    """Try the whole catalogue.

    Several faults are tried at a time. One fault is tried with one call at a time, so
    that no breaker is opened by one call while another one is to show something else.

    Args:
        instance: Whom to ask.
        expected_text: What the fallback answers to the question.

    Returns:
        One result per case, in the order of the catalogue.
    """
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def behind_gate(fault: Fault) -> list[Result]:
        async with gate:
            return await try_fault(instance, fault, expected_text)

    found = await asyncio.gather(*map(behind_gate, ODDITIES))
    found += await asyncio.gather(*map(behind_gate, FAULTS))
    for fault in CREDENTIAL_FAULTS:
        found.append(await try_fault(instance, fault, expected_text))
    return [result for results in found for result in results]


async def try_fault(
    instance: Instance, fault: Fault, expected_text: str
) -> list[Result]:
    """Try one fault on all surfaces, in all ways.

    Args:
        instance: Whom to ask.
        fault: What the upstream does.
        expected_text: What the fallback answers to the question.

    Returns:
        One result per case.
    """
    return [
        await _try(instance, case, expected_text) for case in cases_of(fault, SURFACES)
    ]


def cases_of(fault: Fault, surfaces: Iterable[Surface]) -> list[Case]:
    """List the cases of a fault.

    Args:
        fault: What the upstream does.
        surfaces: The ways to ask.

    Returns:
        The cases, in the order of the scorecard.
    """
    return [
        Case(fault, surface, stream, way)
        for surface in surfaces
        for stream in (False, True)
        for way in ways_of(fault, stream)
    ]


async def _try(instance: Instance, case: Case, expected_text: str) -> Result:
    for _ in range(_WAITS):
        reply = await _ask(instance, case)
        verdict = judge(case, reply, expected_text, instance.token)
        seconds = _wait_of(reply) if verdict.reservation else None
        if seconds is None:
            break
        await asyncio.sleep(seconds)
    trace = await instance.trace_of(reply)
    complaints = (*verdict.complaints, *judge_attempts(trace, case.fault.attempts))
    verdict = replace(verdict, complaints=complaints)
    return Result(case.fault.model, verdict, reply.seconds, case)


async def _ask(instance: Instance, case: Case) -> Reply:
    return await instance.ask(
        case.surface,
        case.fault.model,
        stream=case.stream,
        headers={
            "x-request-timeout": f"{case.fault.deadline_seconds:g}",
            **_HEADERS[case.way],
        },
    )


def _wait_of(reply: Reply) -> int | None:
    """How long to wait for the breaker; None if that is too long, or not told."""
    advice = reply.headers.get("retry-after", "")
    seconds = int(advice) if advice.isdigit() else _LONGEST_WAIT_SECONDS + 1
    return seconds if seconds <= _LONGEST_WAIT_SECONDS else None

"""The whole self-test, in an order in which nothing spoils what follows."""

import asyncio
import time
from dataclasses import dataclass

from llm_proxy.selftest.edge import (
    MALFORMED,
    MISTAKES,
    try_malformed,
    try_mistake,
)
from llm_proxy.selftest.faults import SURFACES, try_faults
from llm_proxy.selftest.instance import Instance, Reply
from llm_proxy.selftest.native import Native
from llm_proxy.selftest.reading import dig, read_json
from llm_proxy.selftest.result import NotTestableError, Result
from llm_proxy.selftest.service import (
    try_deadline,
    try_hang_ups,
    try_ordinary_calls,
    try_pages,
    try_restraint,
)
from llm_proxy.selftest.verdict import outcome_of, read

_ENOUGH_A_MINUTE = 3000
_REASONS = {
    401: "it does not accept the token: give one with --token, or set API_TOKEN",
    404: "it is not llm-proxy, or not this version of it",
    429: "it limits our requests: set RATE_LIMIT_ENABLED=false for the test",
    503: "it is not ready",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a self-test has found.

    Attributes:
        url: Where the instance is.
        is_own: Whether it ran for this test alone.
        seconds: How long the test took.
        faults: Results of the catalogue.
        others: All other results.
    """

    url: str
    is_own: bool
    seconds: float
    faults: tuple[Result, ...]
    others: tuple[Result, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """Everything that was tried."""
        return (*self.others, *self.faults)

    @property
    def is_green(self) -> bool:
        """Whether every promise was kept."""
        return all(result.mark != "failed" for result in self.results)


async def run(instance: Instance) -> Report:
    """Test an instance.

    Args:
        instance: Whom to ask.

    Returns:
        What was found.

    Raises:
        NotTestableError: It does not answer even an ordinary question.
    """
    begun = time.monotonic()
    expected_text = await _ask_first(instance)
    others = await try_pages(instance)
    others += [await try_deadline(instance), await try_restraint(instance)]
    # Before the faults, whose calls would be in flight as well.
    others += await try_hang_ups(instance)
    edge = asyncio.create_task(_try_edge(instance))
    try:
        faults = await try_faults(instance, expected_text)
        others += await edge
    finally:
        edge.cancel()
    others += await try_ordinary_calls(instance, "after all this")
    seconds = time.monotonic() - begun
    return Report(instance.url, instance.is_own, seconds, tuple(faults), tuple(others))


async def _try_edge(instance: Instance) -> list[Result]:
    mistakes = [
        await try_mistake(instance, surface, mistake)
        for mistake in MISTAKES
        for surface in SURFACES
    ]
    malformed = [try_malformed(instance, each) for each in MALFORMED]
    return mistakes + await asyncio.gather(*malformed)


async def _ask_first(instance: Instance) -> str:
    """Ask an ordinary question, and return the answer's text."""
    surface = Native()
    reply = await instance.ask(surface, "sandbox")
    reading = read(surface, reply, False)
    if outcome_of(reply, reading) != "whole":
        raise NotTestableError(
            f"{instance.url} cannot be tested: {_reason(reply)}",
        )
    limit = reply.headers.get("x-ratelimit-limit", "")
    if limit.isdigit() and int(limit) < _ENOUGH_A_MINUTE:
        raise NotTestableError(
            f"{instance.url} cannot be tested: it takes {limit} requests a minute, and"
            f" the test sends up to {_ENOUGH_A_MINUTE}: set RATE_LIMIT_ENABLED=false"
            " for it"
        )
    return reading.text


def _reason(reply: Reply) -> str:
    if reply.broken:
        return reply.broken
    if reply.status in (400, 404, 500) and dig(read_json(reply.body), "error", "code"):
        return (
            "it does not offer the sandbox; outside development and testing, "
            "llm-proxy.yaml has to name it: providers: {sandbox: {}}"
        )
    return _REASONS.get(reply.status, f"an ordinary call got status {reply.status}")

"""Reservations of two processes over a real Redis, which freezes and comes back."""

import asyncio
import time
from collections import Counter

import pytest
from tests.limits.claiming import TEAM
from tests.redis_server import redis_server, redis_url  # noqa: F401 - fixtures

from llm_proxy.errors import RateLimitExceeded, StorageUnavailableError
from llm_proxy.limits import Allowances, SharedCounters, Term
from llm_proxy.storage.redis import Redis

REQUESTS = Term(TEAM, "requests", 21)
CONCURRENT = Term(TEAM, "concurrent", 10)
BUDGET = Term(TEAM, "money", 1000, "total")


@pytest.fixture
async def processes(redis_server, redis_url):  # noqa: F811
    """The allowances of two processes that share the server."""
    opened, found = [], []

    async def spent(*_):
        return 400

    for _ in range(2):
        # Longer than in service: this is not about machines that are slow.
        redis = Redis(redis_server.url, timeout_seconds=2)
        await redis.open()
        counters = SharedCounters(redis)
        await counters.open()
        opened += [redis, counters]
        found.append(Allowances(counters, spending=spent, processes=lambda: 2))
    yield found
    for part in reversed(opened):
        await part.aclose()


async def burst(processes, *terms, nanos=0):
    """Counts what becomes of 100 calls at a time in each process."""
    found = await asyncio.gather(
        *(
            process.reserve(terms, 0, nanos, f"{number}-{call}-{time.monotonic_ns()}")
            for number, process in enumerate(processes)
            for call in range(100)
        ),
        return_exceptions=True,
    )
    return Counter(type(each).__name__ for each in found)


@pytest.mark.parametrize(
    ("term", "most"), [(REQUESTS, 21), (CONCURRENT, 10), (BUDGET, 20)]
)
async def test_two_processes_share_a_limit(processes, term, most):
    found = await burst(processes, term, nanos=30)

    assert found.pop("Reservation") == most
    assert set(found) <= {"RateLimitExceeded", "BudgetExceededError"}


async def test_a_frozen_redis_leaves_shares_and_no_money(processes, redis_server):  # noqa: F811
    before = await processes[0].reserve([CONCURRENT], 0, 0, "before")
    redis_server.freeze()
    try:
        for process in processes:
            with pytest.raises(StorageUnavailableError):
                await process.reserve([REQUESTS, BUDGET], 0, 1, "closed")
        found = await burst(processes, REQUESTS)
        before.settle(0, 0)
    finally:
        redis_server.thaw()

    assert found == {"Reservation": 2 * (21 // 2), "RateLimitExceeded": 180}
    # It is used again, and what was settled in the meantime has been settled there.
    for process in processes:
        await counted(process, BUDGET)
    places = [await counted(processes[1], CONCURRENT) for _ in range(10)]
    assert len(places) == 10
    with pytest.raises(RateLimitExceeded):
        await processes[0].reserve([CONCURRENT], 0, 0, "too many")


async def counted(process, term):
    """Reserves as soon as Redis is used again, and has heard what was settled."""
    for _ in range(400):
        try:
            return await process.reserve([term], 0, 1, f"again-{time.monotonic_ns()}")
        except (StorageUnavailableError, RateLimitExceeded):
            await asyncio.sleep(0.02)
    return pytest.fail("Redis is not used again")

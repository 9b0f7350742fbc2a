"""SIGTERM under load: everybody is answered, and nothing is left open."""

import asyncio

import pytest
import redis
from tests.integration.company import load, money_for
from tests.live import PATHS

pytestmark = pytest.mark.integration

OPEN = "SELECT count(*) FROM reservations"
ROWS = "SELECT count(*), count(DISTINCT id) FROM ledger"


async def test_sigterm_under_load(found):
    company = await asyncio.to_thread(found, 2)
    async with company.callers() as callers:
        key = await callers.key(**money_for(1_000_000), concurrent_requests=100)
        slow = "one/slow-first-token-1500"
        asks = [
            lambda path=path, stream=stream: callers.ask(key, path=path, stream=stream)
            for path in PATHS
            for stream in (False, True)
        ]
        late = [
            asyncio.create_task(callers.ask(key, model=slow, path=path, stream=True))
            for path in PATHS
        ]
        async with load(*asks) as running:
            await running.until_answered(50)
            for each in company.services:
                each.process.terminate()
            ended = [
                await asyncio.to_thread(each.process.wait, 30)
                for each in company.services
            ]
        begun = await asyncio.gather(*late)

    assert ended == [0, 0]
    assert all(each.is_answer for each in begun)
    # Who comes later is told to look elsewhere, or finds nobody.
    assert running.statuses.keys() <= {200, 503, 0}
    made = running.answers + len(begun)
    assert await company.made() == made
    assert await company.rows(ROWS) == [(made, made)]
    assert await company.rows(OPEN) == [(0,)]
    with redis.Redis.from_url(company.redis_url, decode_responses=True) as operator:
        assert [*operator.scan_iter("*:concurrent:*")] == []
        leases = operator.scan_iter("*:lease:*")
        assert {operator.get(each) for each in leases} <= {"settled", None}

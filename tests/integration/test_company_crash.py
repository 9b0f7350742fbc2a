"""Processes that are killed under load lose no row and leave no reservation open."""

import asyncio

import pytest
import redis
from tests.integration.company import load, money_for, until
from tests.limits.aging import let_pass
from tests.live import PATHS

pytestmark = pytest.mark.integration

PATIENT = {"model": "one/slow-first-token-60000"}
# Longer than the lease of a process lives.
LATER_SECONDS = 120
OPEN = "SELECT count(*) FROM reservations WHERE state = 'open' AND principal = $1"


@pytest.mark.parametrize("processes", [1, 2])
async def test_kill_9_twice_under_load(found, processes):
    company = await asyncio.to_thread(found, processes)
    async with company.callers() as callers:
        busy, busy_name = await callers.key_and_id(
            **money_for(1_000_000), concurrent_requests=100
        )
        poor, poor_name = await callers.key_and_id(
            **money_for(4), concurrent_requests=2
        )
    answers = 0
    for _ in range(2):
        async with company.callers() as callers:
            answers += await kill_under_load(company, callers, busy, poor, poor_name)
        await age(company)
        await asyncio.to_thread(company.serve, processes)
    ((rows,),) = await company.rows("SELECT count(*) FROM ledger")
    assert answers <= rows <= await company.made()
    assert (await company.rows("SELECT count(DISTINCT id) FROM ledger")) == [(rows,)]
    for name in (busy_name, poor_name):
        await until(lambda name=name: company.rows(OPEN, name), [(0,)])
    async with company.callers() as callers:
        # Each time two of its calls were lost, and nobody knows what they have cost.
        assert (await callers.ask(poor)).status == 402
        assert (await callers.ask(busy)).is_answer
        if company.redis_url:
            # The database knows it as well.
            with redis.Redis.from_url(company.redis_url) as operator:
                operator.flushdb()
            # Once all processes have told what they have set aside.
            await until(lambda: status(callers, poor), 402)
            assert (await callers.ask(busy)).is_answer


async def status(callers, key):
    return (await callers.ask(key)).status


async def kill_under_load(company, callers, busy, poor, poor_name):
    """Kills all processes; counts the answers that they had given by then."""
    roads = [(path, stream) for path in PATHS for stream in (False, True)]
    asks = [
        lambda path=path, stream=stream: callers.ask(busy, path=path, stream=stream)
        for path, stream in roads * 2
    ]
    lost = [asyncio.create_task(callers.ask(poor, **PATIENT)) for _ in range(2)]
    await until(lambda: company.rows(OPEN, poor_name), [(2,)])
    async with load(*asks) as running:
        await running.until_answered(100)
        await asyncio.to_thread(company.kill)
    assert {each.status for each in await asyncio.gather(*lost)} == {0}
    assert set(running.statuses) <= {0, 200}
    return running.answers


async def age(company):
    """Lets more time pass than leases live."""
    if company.redis_url:
        with redis.Redis.from_url(company.redis_url) as operator:
            let_pass(operator, LATER_SECONDS)
    await company.rows(
        "UPDATE reservations SET expires_ms = expires_ms - $1 RETURNING id",
        LATER_SECONDS * 1000,
    )

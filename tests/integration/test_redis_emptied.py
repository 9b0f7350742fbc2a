"""Redis loses all that it knows: what is set aside is not given to anybody else."""

import asyncio

import pytest
import redis
from tests.integration.company import money_for, until

pytestmark = pytest.mark.integration

PATIENT = {"model": "one/slow-first-token-60000"}
OPEN = "SELECT count(*) FROM reservations WHERE principal = $1"


async def test_process_that_starts_then_spends_no_money_twice(found):
    company = await asyncio.to_thread(found, 2)
    async with company.callers() as callers:
        key, name = await callers.key_and_id(**money_for(4))
        lasting = [asyncio.create_task(callers.ask(key, **PATIENT)) for _ in range(4)]
        await until(lambda: company.rows(OPEN, name), [(4,)])
        with redis.Redis.from_url(company.redis_url) as operator:
            operator.flushdb()
        await asyncio.to_thread(company.serve, 1)
        async with company.callers() as newcomers:
            told = await asyncio.gather(*(newcomers.ask(key) for _ in range(8)))
            assert {each.status for each in told} <= {402, 503}
            # Once the others have told what they have set aside.
            await until(lambda: statuses(callers, newcomers, key=key), [402] * 3)
        for each in lasting:
            each.cancel()
        await asyncio.wait(lasting)


async def statuses(callers, newcomers, *, key):
    told = [await each.ask(key) for each in (callers, callers, newcomers)]
    return [each.status for each in told]

"""Redis freezes or stops under load: answers stay quick, no money is spent twice."""

import asyncio

import pytest
from tests.integration.company import load, money_for, until
from tests.live import CHAT, PATHS

pytestmark = pytest.mark.integration

PROCESSES = range(4)


@pytest.mark.parametrize(
    ("leave", "come_back"), [("freeze", "thaw"), ("stop", "start")]
)
async def test_redis_leaves_under_load(
    company, callers, redis_server, leave, come_back
):
    unbounded, limited = await callers.key(), await callers.key(requests_per_minute=40)
    paying = await callers.key(**money_for(10))
    question = {"path": CHAT, "prompt": f"Asked before Redis was told to {leave}"}
    # Each process has been told by now how many there are.
    assert await callers.burst(8, limited) == {200: 8}
    assert await callers.burst(4, paying) == {200: 4}
    assert await caches(callers, unbounded, question) == ["miss", "hit", "hit", "hit"]
    asks = [lambda path=path: callers.ask(unbounded, path=path) for path in PATHS * 2]
    async with load(*asks) as running:
        await running.until_answered(50)
        await asyncio.to_thread(getattr(redis_server, leave))
        try:
            # Whoever waits for Redis to come back waits here for ever.
            refused = await asyncio.gather(*(callers.ask(paying) for _ in range(40)))
            shares = await callers.burst(400, limited)
            missed = await caches(callers, unbounded, question)
            await running.until_answered(100)
        finally:
            await asyncio.to_thread(getattr(redis_server, come_back))
        await until(lambda: caches(callers, unbounded, question), ["hit"] * 4)
        await running.until_answered(50)

    assert running.answers == len(running.told)
    assert {each.status for each in refused} == {503}
    assert shares == {200: 40 - 8, 429: 400 - 32}
    assert missed == ["miss"] * 4
    # What was set aside for calls that were refused comes back, and nothing else.
    answers = []
    await until(lambda: count_answers(callers, paying, answers), 6)
    assert await callers.burst(20, paying) == {402: 20}


async def status(callers, key):
    return (await callers.ask(key)).status


async def count_answers(callers, key, answers):
    answers.append((await callers.ask(key)).is_answer)
    return sum(answers)


async def caches(callers, key, question):
    """What the processes say about their cache, one after the other."""
    told = [await callers.ask(key, at=each, **question) for each in PROCESSES]
    return [each.headers["x-llm-proxy-cache"] for each in told]


async def test_budgets_may_fail_open(found, redis_server):
    shared = {"REDIS_URL": redis_server.url, "BUDGET_FAILURE": "open"}
    company = await asyncio.to_thread(found, 1, **shared)
    async with company.callers() as callers:
        key, name = await callers.key_and_id(**money_for(10))
        assert await callers.burst(4, key) == {200: 4}
        await asyncio.to_thread(redis_server.stop)
        try:
            assert await callers.burst(20, key) == {200: 20}
        finally:
            await asyncio.to_thread(redis_server.start)
        # What was spent meanwhile stands in the ledger, from which Redis has it.
        await until(lambda: status(callers, key), 402)
        rows = "SELECT count(*) FROM ledger WHERE principal = $1"
        [(count,)] = await company.rows(rows, name)
        assert count >= 24

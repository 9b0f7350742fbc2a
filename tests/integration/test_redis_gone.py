"""Redis freezes or stops under load: answers stay quick, and no money is spent twice."""

import asyncio
from collections import Counter

import pytest
from tests.integration.company import load, money_for, until
from tests.live import CHAT, PATHS

pytestmark = pytest.mark.integration

PROCESSES = range(4)
# A call waits for Redis at most three times, for 200 ms each: to look into the cache, to
# reserve, and to keep the answer. The rest is for slow machines.
MOST_SECONDS = 2.5


@pytest.mark.parametrize(
    ("leave", "come_back"), [("freeze", "thaw"), ("stop", "start")]
)
async def test_redis_leaves_under_load(
    company, callers, redis_server, leave, come_back
):
    unbounded, limited = await callers.key(), await callers.key(requests_per_minute=40)
    paying = await callers.key(**money_for(10))
    question = {"path": CHAT, "prompt": f"Asked before Redis was told to {leave}"}
    assert await callers.burst(4, paying) == {200: 4}
    assert await caches(callers, unbounded, question) == ["miss", "hit", "hit", "hit"]
    asks = [lambda path=path: callers.ask(unbounded, path=path) for path in PATHS * 2]
    async with load(*asks) as running:
        await running.until_answered(50)
        await asyncio.to_thread(getattr(redis_server, leave))
        try:
            refused = await asyncio.gather(*(callers.ask(paying) for _ in range(40)))
            shares = await callers.burst(400, limited)
            missed = await caches(callers, unbounded, question)
            await running.until_answered(100)
        finally:
            await asyncio.to_thread(getattr(redis_server, come_back))
        await until(lambda: status(callers, paying), 200)
        await running.until_answered(50)

    assert running.answers == len(running.told)
    assert {each.status for each in refused} == {503}
    assert shares == {200: 40, 429: 360}
    assert missed == ["miss"] * 4
    assert max(each.seconds for each in [*running.told, *refused]) < MOST_SECONDS
    # Nothing was paid for the calls that were refused, and no call was paid twice.
    last = await callers.burst(20, paying)
    assert last == {200: 5, 402: 15}
    await until(lambda: caches(callers, unbounded, question), ["hit"] * 4)


async def status(callers, key):
    return (await callers.ask(key)).status


async def caches(callers, key, question):
    """What the processes say about their cache, one after the other."""
    told = [await callers.ask(key, at=each, **question) for each in PROCESSES]
    return [each.headers["x-llm-proxy-cache"] for each in told]

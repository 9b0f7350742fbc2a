"""Several processes that are asked the same at the same time."""

import asyncio
import time

import pytest
import redis as driver
from tests.cache.answered import Answered, question

from llm_proxy.cache import Cache, MemoryStore, Policy
from llm_proxy.cache.shared import SharedStore
from llm_proxy.cache.shared_flights import SharedFlights

pytestmark = pytest.mark.integration

LONG = 60.0
LEASE = 0.6


class Processes:
    """Processes that share a cache, and an upstream that answers when it is let."""

    def __init__(self, connect, redis_url, policy: Policy) -> None:
        self.calls = 0
        self.called = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.results: list[str] = []
        self.caches = []
        self.redis = [connect(redis_url) for _ in range(3)]
        for redis in self.redis:
            store = SharedStore(redis)
            flights = SharedFlights(redis, store, lease_seconds=LEASE)
            self.caches.append(
                Cache(store, policy, "1", self.results.append, shared_flights=flights)
            )

    async def ask(self, at: int, seconds: float = LONG, account=Answered) -> bytes:
        looking = self.caches[at].ask("anna", question("a"), seconds=seconds)
        with await looking as lookup:
            if lookup.entry is not None:
                return lookup.entry.body
            self.calls += 1
            self.called.release()
            body = b"%d" % self.calls
            await self.may_answer.wait()
            await lookup.keep(account(), body)
            return body

    async def asking(self, *processes: int, **how) -> list[asyncio.Task]:
        """Has the first one ask, and then the others, until they all have looked."""
        first, *others = processes
        tasks = [asyncio.create_task(self.ask(first, **how))]
        await self.called.acquire()
        tasks += [asyncio.create_task(self.ask(at, **how)) for at in others]
        await asyncio.sleep(0.15)
        return tasks


@pytest.fixture
def start(connect, redis_url):
    """Starts processes with a policy."""
    return lambda policy: Processes(connect, redis_url, policy)


@pytest.mark.parametrize("policy", [Policy("all", 60.0), Policy("smart")])
async def test_one_process_asks_for_all(start, policy):
    processes = start(policy)
    asking = await processes.asking(0, 1, 2, 0, 1, 2)
    processes.may_answer.set()

    assert await asyncio.gather(*asking) == [b"1"] * 6
    assert sorted(processes.results) == ["flight"] * 5 + ["miss"]


async def test_what_is_not_kept_is_only_for_those_who_wait(start):
    processes = start(Policy("smart"))
    processes.may_answer.set()

    assert [await processes.ask(at) for at in (0, 1)] == [b"1", b"2"]


async def test_who_waits_gets_no_earlier_answer_that_was_not_kept(start):
    processes = start(Policy("smart"))
    processes.may_answer.set()
    await processes.ask(0)
    await processes.called.acquire()
    processes.may_answer.clear()
    asking = await processes.asking(0, 1)
    processes.may_answer.set()

    assert await asyncio.gather(*asking) == [b"2"] * 2


async def test_another_process_asks_where_the_first_has_failed(start):
    processes = start(Policy("all", 60.0))
    first, *others = await processes.asking(0, 1, 2)
    first.cancel()
    processes.may_answer.set()

    assert await asyncio.gather(*others) == [b"2"] * 2
    assert processes.calls == 2


async def test_the_next_caller_of_the_same_process_asks_for_all(start):
    processes = start(Policy("all", 60.0))
    first, second, other = await processes.asking(0, 0, 1)
    first.cancel()
    processes.may_answer.set()

    assert await asyncio.gather(second, other) == [b"2"] * 2


async def test_nobody_waits_for_more_than_half_of_the_time(start):
    processes = start(Policy("all", 60.0))
    await processes.asking(0)
    asking = asyncio.create_task(processes.ask(1, seconds=0.4))
    await processes.called.acquire()
    processes.may_answer.set()

    assert await asking == b"2"


async def test_a_long_call_is_waited_for(start):
    processes = start(Policy("all", 60.0))
    asking = await processes.asking(0, 1)
    await asyncio.sleep(2 * LEASE)
    processes.may_answer.set()

    assert await asyncio.gather(*asking) == [b"1"] * 2


async def test_a_process_that_has_died_is_not_waited_for(start):
    processes = start(Policy("all", 60.0))
    await processes.asking(0)
    # It can give no sign of itself.
    await processes.redis[0].aclose()
    asking = asyncio.create_task(processes.ask(1))
    await processes.called.acquire()
    processes.may_answer.set()

    assert await asking == b"2"


async def test_nothing_of_it_stays(start, redis_url):
    processes = start(Policy("smart"))
    asking = await processes.asking(0, 1)
    with driver.Redis.from_url(redis_url) as client:
        (claim,) = client.keys("{llm-proxy}:cache:asked:*")
        assert 0 < client.pttl(claim) <= LEASE * 1000
        processes.may_answer.set()
        await asyncio.gather(*asking)

        await asyncio.to_thread(_wait_until_gone, client, claim)


async def test_each_process_asks_where_redis_is_away(start, redis_server):
    processes = start(Policy("all", 60.0))
    processes.may_answer.set()
    redis_server.stop()
    try:
        assert {await processes.ask(at) for at in (0, 1, 2)} == {b"1", b"2", b"3"}
    finally:
        redis_server.start()


class Patience:
    """Flights of nobody else, which note how long callers would wait for others."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def join(self, tenant: str, key: str, seconds: float) -> None:
        self.seconds.append(seconds)

    def leave(self, key: str) -> None:
        pass


async def test_the_half_of_the_time_begins_with_the_question():
    patience = Patience()
    store = MemoryStore(1000)
    cache = Cache(store, Policy("all"), "1", str, shared_flights=patience)
    first = await cache.ask("anna", question("a"), seconds=LONG)
    second = asyncio.create_task(cache.ask("anna", question("a"), seconds=LONG))
    await asyncio.sleep(0.1)
    first.close()
    (await second).close()

    assert patience.seconds[1] <= LONG / 2 - 0.1


def _wait_until_gone(client: driver.Redis, name: bytes) -> None:
    while client.exists(name):
        time.sleep(0.01)

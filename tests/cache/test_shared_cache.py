import time

import pytest
import redis as driver
from tests.cache.answered import entry

from llm_proxy.cache.shared import SharedStore
from llm_proxy.cache.store import COUNTING_SECONDS
from llm_proxy.errors import StorageUnavailableError

pytestmark = pytest.mark.integration

TIMEOUT = 0.2
# Of several calls that end at once and some that do not; a stalled one takes for ever.
BOUND = 5.0


@pytest.fixture
def server(redis_url):
    """Redis as its operator sees it."""
    with driver.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def shared(connect, redis_url) -> SharedStore:
    return SharedStore(connect(redis_url))


async def test_processes_share_what_one_of_them_has_put(connect, redis_url):
    one, other = (SharedStore(connect(redis_url)) for _ in range(2))
    await one.put("anna", "k", entry(), 60)

    assert await other.get("anna", "k") == entry()
    await other.purge("anna")
    assert await one.get("anna", "k") is None


async def test_nothing_stays_for_ever_and_no_tenant_is_named(shared, server):
    await shared.put("anna@example.com", "k", entry(), 60)
    await shared.put("anna@example.com", "other", entry(), 30)
    await shared.seen("anna@example.com", "k")

    keys = server.keys()
    assert len(keys) == 5
    assert all(0 < server.pttl(key) <= COUNTING_SECONDS * 1000 for key in keys)
    assert all(key.startswith(b"{llm-proxy}:cache:") for key in keys)
    assert not any(b"anna" in key for key in keys)


async def test_an_entry_without_its_marks_is_none(shared, server):
    """Redis may have had to forget them to make room."""
    await shared.put("anna", "k", entry(), 60)
    for key in server.scan_iter():
        if server.strlen(key) == 8:
            server.delete(key)
    assert await shared.get("anna", "k") is None
    await shared.put("anna", "other", entry(), 60)

    assert await shared.get("anna", "k") is None
    assert await shared.get("anna", "other") == entry()


async def test_what_cannot_be_read_is_none(shared, server):
    await shared.put("anna", "k", entry(), 60)
    (key,) = (key for key in server.scan_iter() if key.endswith(b":k"))
    server.setrange(key, 16, b"\x02")

    assert await shared.get("anna", "k") is None


class Strange:
    """A server that answers everything with the same."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def execute(self, *_: object) -> object:
        return self._answer

    async def run(self, *_: object) -> object:
        return self._answer


@pytest.mark.parametrize("answer", [None, b"OK", [], [None], [b"entry", 1, b"mark"]])
async def test_answers_of_another_kind_are_a_miss(answer):
    store = SharedStore(Strange(answer))

    await store.put("anna", "k", entry(), 60)
    assert await store.get("anna", "k") is None
    assert await store.seen("anna", "k") == 0
    with pytest.raises(StorageUnavailableError):
        await store.purge("anna")


async def use(store: SharedStore) -> float:
    """Uses a store that has nothing to give, and says how long that took."""
    started = time.perf_counter()
    await store.put("anna", "k", entry(), 60)
    assert await store.get("anna", "k") is None
    assert await store.seen("anna", "k") == 0
    return time.perf_counter() - started


async def test_a_redis_that_is_silent_is_a_miss(connect, redis_server):
    store = SharedStore(connect(redis_server.url, TIMEOUT))
    await store.put("anna", "k", entry(), 60)
    redis_server.freeze()
    try:
        assert await use(store) < BOUND
    finally:
        redis_server.thaw()


async def test_a_redis_that_is_gone_is_a_miss(connect, redis_server):
    store = SharedStore(connect(redis_server.url, TIMEOUT))
    await store.put("anna", "k", entry(), 60)
    redis_server.stop()
    try:
        assert await use(store) < BOUND
    finally:
        redis_server.start()


async def test_who_purges_hears_that_entries_may_still_be_there(connect, redis_server):
    store = SharedStore(connect(redis_server.url, TIMEOUT))
    redis_server.stop()
    try:
        with pytest.raises(StorageUnavailableError):
            await store.purge(None)
    finally:
        redis_server.start()

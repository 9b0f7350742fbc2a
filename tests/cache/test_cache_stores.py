"""What all stores have in common."""

import asyncio

import pytest
from tests.cache.answered import entry

from llm_proxy.cache import MemoryStore
from llm_proxy.cache.store import COUNTING_SECONDS


async def test_what_is_put_is_there_again(store):
    await store.put("anna", "k", entry(b"Paris"), 60)

    assert await store.get("anna", "k") == entry(b"Paris")
    assert await store.get("anna", "other") is None


async def test_the_latest_entry_counts(store):
    await store.put("anna", "k", entry(b"Paris"), 60)
    await store.put("anna", "k", entry(b"Rome"), 60)

    assert await store.get("anna", "k") == entry(b"Rome")


async def test_tenants_never_share(store):
    await store.put("anna", "k", entry(), 60)

    assert await store.get("bert", "k") is None
    assert [await store.seen(each, "k") for each in ("anna", "bert")] == [1, 1]


@pytest.mark.parametrize(
    "tenant", ["", "a:b", "{llm-proxy}:cache:mark", "oidc:ü\n*", "x" * 10_000]
)
async def test_tenants_may_have_any_name(store, tenant):
    await store.put(tenant, "k", entry(), 60)
    await store.put("anna", "k", entry(), 60)

    assert await store.get(tenant, "k") == entry()
    await store.purge(tenant)
    assert await store.get(tenant, "k") is None
    assert await store.get("anna", "k") == entry()


async def test_entries_end(store):
    await store.put("anna", "k", entry(), 0.03)
    await asyncio.sleep(0.06)

    assert await store.get("anna", "k") is None


async def test_one_tenant_is_purged(store):
    for tenant in ("anna", "bert"):
        await store.put(tenant, "k", entry(), 60)

    assert await store.purge("anna") == 1
    assert await store.get("anna", "k") is None
    assert await store.get("bert", "k") == entry()
    assert await store.purge("anna") == 0


async def test_everybody_is_purged(store):
    for tenant in ("anna", "bert"):
        await store.put(tenant, "k", entry(), 60)

    assert await store.purge(None) > 0
    assert [await store.get(each, "k") for each in ("anna", "bert")] == [None, None]


async def test_what_is_put_after_a_purge_is_there(store):
    await store.put("anna", "old", entry(), 60)
    await store.purge("anna")
    await store.purge(None)
    await store.put("anna", "new", entry(), 60)

    assert await store.get("anna", "new") == entry()
    assert await store.get("anna", "old") is None


async def test_questions_are_counted_one_by_one(store):
    times = await asyncio.gather(*(store.seen("anna", "k") for _ in range(20)))

    assert sorted(times) == list(range(1, 21))
    assert await store.seen("anna", "other") == 1


async def test_an_entry_lives_as_long_as_it_should_beside_shorter_ones(store):
    await store.put("anna", "long", entry(), 60)
    await store.put("anna", "short", entry(), 0.03)
    await asyncio.sleep(0.06)

    assert await store.get("anna", "long") == entry()


async def test_memory_is_bounded_and_forgets_what_was_not_asked_for_longest():
    store = MemoryStore(50_000)
    body = b"x" * 10_000
    for key in "abc":
        await store.put("anna", key, entry(body), 60)
    await store.get("anna", "a")
    for key in "de":
        await store.put("anna", key, entry(body), 60)

    kept = [key for key in "abcde" if await store.get("anna", key)]
    assert kept == ["a", "c", "d", "e"]


async def test_what_is_larger_than_the_memory_pushes_nothing_out():
    store = MemoryStore(5_000)
    await store.put("anna", "k", entry(), 60)
    await store.put("anna", "large", entry(b"x" * 5_000), 60)

    assert await store.get("anna", "k") == entry()
    assert await store.get("anna", "large") is None


async def test_counts_in_memory_are_for_a_day():
    now = 0.0
    store = MemoryStore(5_000, lambda: now)
    assert [await store.seen("anna", "k") for _ in range(3)] == [1, 2, 3]
    now = COUNTING_SECONDS

    assert await store.seen("anna", "k") == 1

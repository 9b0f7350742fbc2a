import asyncio
import os
import signal
import subprocess
from contextlib import suppress

import pytest
import sqlalchemy as sa

from llm_proxy.errors import (
    IdempotencyConflictError,
    IdempotencyMismatchError,
    StorageUnavailableError,
)
from llm_proxy.idempotency import Claim, DatabaseStore, Earlier, SavedAnswer
from llm_proxy.storage import Database, metadata
from llm_proxy.storage.tables import idempotency

LEASE = 60
DAY = 86_400
ANSWER = SavedAnswer(
    201,
    ((b"content-type", b"application/json"), (b"x-llm-proxy-dropped", b"caf\xe9")),
    b'{"\xff": "\x00"}',
)


async def claimed(store, key, request) -> Claim:
    """Claims a key as soon as it is free."""
    async with asyncio.timeout(30):
        while True:
            found = await store.claim(key, request)
            if isinstance(found, Claim):
                return found
            await asyncio.sleep(0.01)


async def test_of_many_at_a_time_one_gets_the_key(stores):
    asked = [stores[number % 2].claim("key", "request") for number in range(50)]
    found = await asyncio.gather(*asked)
    assert [type(each) for each in found].count(Claim) == 1
    assert found.count(Earlier("request", None)) == 49


@pytest.mark.parametrize("url", ["file", "postgres"], indirect=True)
async def test_many_share_a_transaction(url, store, monkeypatch):
    begun, begin = [], Database.begin
    monkeypatch.setattr(
        Database, "begin", lambda database: begun.append(None) or begin(database)
    )
    names = [f"key {number}" for number in range(1500)]

    claims = await asyncio.gather(*(store.claim(name, "request") for name in names))
    assert all(isinstance(claim, Claim) for claim in claims)
    assert all(await asyncio.gather(*map(store.renew, claims)))
    assert all(await asyncio.gather(*(store.save(claim, ANSWER) for claim in claims)))

    found = await asyncio.gather(*(store.claim(name, "request") for name in names))
    assert found == [Earlier("request", ANSWER)] * 1500
    # Eight for each kind of work, and those that began with what came first.
    assert len(begun) <= 4 * 11


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_groups_of_two_processes_do_not_lock_each_other_out(url, stores):
    names = [f"key {number}" for number in range(100)]
    for _ in range(20):
        asked = [
            (store, store.claim(name, "request"))
            for store, order in zip(stores, (1, -1), strict=True)
            for name in names[::order]
        ]
        found = await asyncio.gather(*(claiming for _, claiming in asked))
        claims = [
            (store, claim)
            for (store, _), claim in zip(asked, found, strict=True)
            if isinstance(claim, Claim)
        ]
        assert len({claim.key for _, claim in claims}) == len(claims)
        assert all(
            await asyncio.gather(*(store.renew(claim) for store, claim in claims))
        )
        for store, claim in claims:
            store.release(claim)


async def test_keys_do_not_know_each_other(store):
    for key in ("one", "other"):
        assert isinstance(await store.claim(key, "request"), Claim)


async def test_an_answer_is_everybodys_byte_for_byte(stores):
    claim = await stores[0].claim("key", "request")
    assert await stores[0].save(claim, ANSWER)
    for store in stores:
        assert await store.claim("key", "any") == Earlier("request", ANSWER)


async def test_a_claim_expires_unless_it_is_renewed(stores, clock):
    one, other = stores
    claim = await one.claim("key", "request")
    for _ in range(3):
        clock.passes(LEASE - 1)
        assert await one.renew(claim)
        assert await other.claim("key", "request") == Earlier("request", None)
    clock.passes(LEASE + 1)
    assert isinstance(await other.claim("key", "another request"), Claim)
    assert await one.claim("key", "any") == Earlier("another request", None)


@pytest.mark.parametrize("ended", ["taken over", "answered", "given up"])
async def test_a_claim_that_is_lost_can_do_nothing(stores, clock, ended):
    one, other = stores
    claim = await one.claim("key", "request")
    if ended == "taken over":
        clock.passes(LEASE + 1)
        await other.save(await other.claim("key", "request"), ANSWER)
    elif ended == "answered":
        await one.save(claim, ANSWER)
    else:
        one.release(claim)
        await other.save(await claimed(other, "key", "request"), ANSWER)
    assert not await one.renew(claim)
    assert not await one.save(claim, SavedAnswer(200, (), b"another"))
    one.release(claim)
    assert await one.claim("key", "any") == Earlier("request", ANSWER)


async def test_who_has_taken_a_claim_over_keeps_it(stores, clock):
    one, other = stores
    lost = await one.claim("key", "request")
    clock.passes(LEASE + 1)
    claim = await other.claim("key", "another request")
    assert not await one.renew(lost)
    assert not await one.save(lost, ANSWER)
    one.release(lost)
    assert await one.claim("key", "any") == Earlier("another request", None)
    assert await other.save(claim, ANSWER)


async def test_after_a_claim_is_given_up_the_next_is_the_first(stores):
    one, other = stores
    one.release(await one.claim("key", "request"))
    again = await one.claim("key", "another request")
    assert isinstance(again, Claim)
    assert await other.claim("key", "any") == Earlier("another request", None)
    one.release(again)
    await claimed(other, "key", "a third request")
    assert await one.claim("key", "any") == Earlier("a third request", None)


async def test_an_answer_lasts_for_a_day(store, clock):
    await store.save(await store.claim("key", "request"), ANSWER)
    clock.passes(DAY - 1)
    assert await store.claim("key", "request") == Earlier("request", ANSWER)
    clock.passes(2)
    assert isinstance(await store.claim("key", "another request"), Claim)


def test_another_request_gets_no_answer():
    for answer in (None, ANSWER):
        with pytest.raises(IdempotencyMismatchError):
            Earlier("request", answer).answer_to("another")


def test_the_same_request_waits_for_its_answer():
    with pytest.raises(IdempotencyConflictError) as caught:
        Earlier("request", None).answer_to("request")
    assert caught.value.retry_after_seconds == 1
    assert Earlier("request", ANSWER).answer_to("request") == ANSWER


@pytest.mark.parametrize("url", ["file", "postgres"], indirect=True)
async def test_what_has_expired_grows_fewer_with_each_claim(url, store, clock, connect):
    for number in range(10):
        await store.claim(f"old {number}", "request")
    clock.passes(LEASE + 1)
    await store.claim("new", "request")
    await store.claim("old 9", "request")
    await store.claim("newer", "request")
    async with (await connect(url)).read() as connection:
        keys = set(await connection.scalars(sa.select(idempotency.c.id)))
    assert keys == {"new", "old 9", "newer"}


async def test_a_database_that_is_away_is_told():
    nobody = Database("postgresql://127.0.0.1:1/name", timeout_seconds=1)
    with pytest.raises(StorageUnavailableError):
        await DatabaseStore(nobody).claim("key", "request")
    await nobody.aclose()


@pytest.fixture
def frozen(postgres):
    """Makes the server silent; its connections stay."""
    stopped = []

    def freeze() -> None:
        found = subprocess.run(
            ["pgrep", "-P", str(postgres.pid)], capture_output=True, check=True
        )
        stopped.extend([*map(int, found.stdout.split()), postgres.pid])
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    yield freeze
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_silent_server_is_waited_for_five_seconds(url, frozen, connect):
    # The service's own bounds.
    database = await connect(url, timeout_seconds=5)
    async with database.begin() as connection:
        await connection.run_sync(metadata.create_all)
    store = DatabaseStore(database)
    assert isinstance(await store.claim("key", "request"), Claim)

    frozen()

    async with asyncio.timeout(6.5):
        with pytest.raises(StorageUnavailableError):
            await store.claim("other", "request")

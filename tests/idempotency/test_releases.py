"""Claims that are given up: soon written, in groups, whatever the database does."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency import Claim, DatabaseStore, Earlier, Lease, SavedAnswer
from llm_proxy.storage import Database, metadata
from llm_proxy.storage.tables import idempotency


@pytest.fixture
async def database(tmp_path, connect) -> Database:
    database = await connect(f"sqlite:///{tmp_path}/test.db", timeout_seconds=0.4)
    async with database.begin() as connection:
        await connection.run_sync(metadata.create_all)
    return database


@pytest.fixture
async def store(database) -> AsyncIterator[DatabaseStore]:
    store = DatabaseStore(database)
    yield store
    await store.aclose()


@pytest.fixture
async def other(tmp_path, connect) -> AsyncIterator[DatabaseStore]:
    """The store of another process."""
    other = DatabaseStore(await connect(f"sqlite:///{tmp_path}/test.db"))
    yield other
    await other.aclose()


@pytest.fixture
def writer(tmp_path, database):
    """Somebody else, who can keep all others from writing."""
    connection = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def transactions(database, monkeypatch) -> list[None]:
    """Grows with each transaction that writes."""
    begun, begin = [], database.begin

    def counted():
        begun.append(None)
        return begin()

    monkeypatch.setattr(database, "begin", counted)
    return begun


async def claims_of(store, number: int) -> list[Claim]:
    return [await store.claim(f"key {each}", "request") for each in range(number)]


async def all_free(store, claims) -> None:
    """Waits until somebody else can have all keys."""
    async with asyncio.timeout(30):
        for claim in claims:
            while not isinstance(  # noqa: ASYNC110 - the database tells nobody
                await store.claim(claim.key, "any"), Claim
            ):
                await asyncio.sleep(0.01)


async def test_many_are_written_at_a_time(store, other, transactions):
    claims = await claims_of(store, 300)
    del transactions[:]

    for claim in claims:
        store.release(claim)
    await store.aclose()

    assert len(transactions) == 2
    assert all(
        [isinstance(await other.claim(claim.key, "any"), Claim) for claim in claims]
    )


async def test_request_that_ends_does_not_wait_for_a_locked_database(
    store, other, writer
):
    (claim,) = await claims_of(store, 1)

    writer.execute("BEGIN IMMEDIATE")
    async with Lease(store, claim):
        pass
    # Longer than a transaction may take.
    await asyncio.sleep(0.5)
    writer.execute("COMMIT")

    await all_free(other, [claim])


async def test_claim_that_may_have_been_made_is_given_up(
    store, other, database, monkeypatch
):
    begin = database.begin

    @asynccontextmanager
    async def begin_and_lose():
        async with begin() as connection:
            yield connection
        raise StorageUnavailableError(log_detail="lost the answer to a commit")

    monkeypatch.setattr(database, "begin", begin_and_lose)
    with pytest.raises(StorageUnavailableError):
        await store.claim("key", "request")

    await all_free(other, [Claim("key")])


async def test_answer_that_was_kept_stays(store, other):
    (claim,) = await claims_of(store, 1)
    answer = SavedAnswer(200, (), b"answer")
    await store.save(claim, answer)

    store.release(claim)

    assert await store.claim(claim.key, "request") == Earlier("request", answer)
    await store.aclose()
    assert await other.claim(claim.key, "request") == Earlier("request", answer)


async def test_other_writers_do_not_wait_for_all_claims(store, database):
    claims = [asyncio.create_task(store.claim(f"{each}", "")) for each in range(1000)]
    await asyncio.sleep(0)

    async with database.begin() as connection:
        count = sa.select(sa.func.count()).select_from(idempotency)
        assert await connection.scalar(count) <= 200

    for claim in await asyncio.gather(*claims):
        store.release(claim)


async def test_claim_of_somebody_who_has_left_is_given_up(store, other, writer):
    writer.execute("BEGIN IMMEDIATE")
    claiming = asyncio.create_task(store.claim("key", "request"))
    # It is at the database by then, and will be written.
    await asyncio.sleep(0.05)
    claiming.cancel()
    await asyncio.wait([claiming])
    writer.execute("COMMIT")

    await all_free(other, [Claim("key")])


async def test_what_waits_is_bounded(store, other, writer, monkeypatch):
    monkeypatch.setattr("llm_proxy.idempotency.releases._MAX_WAITING", 5)
    monkeypatch.setattr("llm_proxy.idempotency.releases._MAX_BATCH", 2)
    claims = await claims_of(store, 6)

    with capture_logs() as lines:
        for claim in claims:
            store.release(claim)
        await store.aclose()

    assert [(line["event"], line["count"]) for line in lines] == [
        ("idempotency_not_released", 2)
    ]
    for claim in claims[:2]:
        assert await other.claim(claim.key, "") == Earlier("request", None)
    for claim in claims[2:]:
        assert isinstance(await other.claim(claim.key, ""), Claim)


async def test_nothing_is_tried_for_longer_than_a_claim_lasts(
    store, writer, monkeypatch
):
    monkeypatch.setattr("llm_proxy.idempotency.releases.LEASE_SECONDS", 0.1)
    monkeypatch.setattr("llm_proxy.idempotency.releases._PAUSE_SECONDS", 0.01)
    (claim,) = await claims_of(store, 1)
    writer.execute("BEGIN IMMEDIATE")

    with capture_logs() as lines:
        store.release(claim)
        await store.aclose()

    writer.execute("COMMIT")
    (line,) = (each for each in lines if each["event"] == "idempotency_not_released")
    assert line["count"] == 1


async def test_defect_ends_no_other_release(store, other, database, monkeypatch):
    first, second = await claims_of(store, 2)

    def fail():
        monkeypatch.undo()
        raise KeyError

    monkeypatch.setattr(database, "begin", fail)
    with capture_logs() as lines:
        store.release(first)
        await asyncio.sleep(0)
        store.release(second)
        await all_free(other, [second])
    assert lines[0]["event"] == "idempotency_not_released"

"""What a process leaves behind when it dies, and what it does not."""

import asyncio
import time
from contextlib import asynccontextmanager
from unittest.mock import ANY

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.ledger.writing import Fickle, until

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger import Reservations
from llm_proxy.storage.tables import reservations as table
from llm_proxy.types import Principal

ALICE = Principal("key_1", organisation="acme", team="red", user="alice")


class Books(Fickle):
    """A database that counts its transactions and can be taken away.

    Attributes:
        is_unsure: Whether it goes away after a commit, before it says so.
    """

    is_unsure = False

    @asynccontextmanager
    async def begin(self):
        async with super().begin() as connection:
            yield connection
        if self.is_unsure:
            raise StorageUnavailableError(log_detail="gone")

    async def has_peace(self) -> None:
        """Sees that nobody writes any more."""
        opened = self.opened
        await asyncio.sleep(0.1)
        assert self.opened == opened

    async def held(self) -> dict[str, str]:
        """The states of all rows."""
        async with self.read() as connection:
            rows = await connection.execute(sa.select(table.c.id, table.c.state))
            return dict(rows.all())

    async def has(self, **states: str) -> None:
        """Waits until these are all rows."""
        end = time.monotonic() + 20
        while await self.held() != states:
            assert time.monotonic() < end, await self.held()
            await asyncio.sleep(0.01)

    async def expire(self) -> None:
        """Lets all leases end."""
        async with self.begin() as connection:
            await connection.execute(sa.update(table).values(expires_ms=0))


@pytest.fixture
async def database(database_url):
    database = Books(database_url)
    await database.create()
    yield database
    await database.aclose()


@pytest.fixture
async def start(database):
    """Starts processes, and ends them after the test."""
    started = []

    async def start(name="me", *, alone=False, write_seconds=0.01):
        process = Reservations(database, name, write_seconds=write_seconds)
        await process.open(alone=alone)
        started.append(process)
        return process

    yield start
    database.is_down = False
    database.lets.set()
    for process in started:
        await process.aclose()


async def test_a_call_that_lasts_has_a_row_until_it_is_over(database, start):
    process = await start()
    before = time.time_ns() // 1_000_000
    process.hold("a", ALICE, "smart", 123)
    await database.has(a="open")
    async with database.read() as connection:
        row = (await connection.execute(sa.select(table))).one()

    assert row._asdict() == {
        "id": "a",
        "process": "me",
        "at_ms": ANY,
        "expires_ms": ANY,
        "state": "open",
        "principal": "key_1",
        "organisation": "acme",
        "team": "red",
        "owner": "alice",
        "asked_model": "smart",
        "nanos": 123,
    }
    assert before <= row.at_ms <= row.expires_ms - 60_000
    for _ in range(2):
        process.release("a")
    await database.has()


async def test_a_call_that_is_over_never_touches_the_database(database, start):
    process = await start(write_seconds=0.05)
    for number in range(1000):
        process.hold(str(number), ALICE, "smart", 1)
        process.release(str(number))
    await asyncio.sleep(0.15)

    # To look for what is lost.
    assert database.opened == 1


async def test_what_comes_and_goes_together_is_one_transaction(database, start):
    process = await start(write_seconds=0.1)
    opened = database.opened
    for number in range(100):
        process.hold(str(number), ALICE, "smart", 1)
    await until(lambda: database.opened > opened)
    await database.has(**{str(number): "open" for number in range(100)})
    for number in range(100):
        process.release(str(number))
    await database.has()

    assert database.opened == opened + 2


async def test_a_call_that_ends_while_it_is_written_leaves_nothing(
    database, start, monkeypatch
):
    monkeypatch.setattr("llm_proxy.ledger.reservations._RENEW_SECONDS", 0.02)
    process = await start()
    opened = database.opened
    database.lets.clear()
    process.hold("a", ALICE, "smart", 1)
    await until(lambda: database.opened > opened)
    process.release("a")
    database.lets.set()
    await until(lambda: database.opened > opened + 1)
    await database.has()
    await database.has_peace()


async def test_a_row_that_may_have_been_written_is_written_again(database, start):
    process = await start()
    database.is_unsure = True
    process.hold("a", ALICE, "smart", 1)
    process.hold("b", ALICE, "smart", 1)
    await database.has(a="open", b="open")
    process.release("b")
    database.is_unsure = False
    await database.has(a="open")
    process.release("a")
    await database.has()
    await database.has_peace()


async def test_what_is_lost_is_counted_once(database, start):
    (await start("dead")).hold("a", ALICE, "smart", 40)
    (await start("dead too")).hold("b", ALICE, "smart", 2)
    await database.has(a="open", b="open")
    alive = Reservations(database, "alive")
    with capture_logs() as lines:
        assert await alive.recover(alone=False) == 0
        assert await alive.recover(alone=True) == 2
        assert await alive.recover(alone=True) == 0

    assert await database.held() == {"a": "lost", "b": "lost"}
    (line,) = lines
    assert (line["event"], line["count"], line["nanos"]) == ("reservations_lost", 2, 42)


async def test_a_lease_that_ends_is_lost_to_everybody_else(database, start):
    process = await start("frozen")
    process.hold("a", ALICE, "smart", 40)
    await database.has(a="open")
    await database.expire()

    assert await process.recover(alone=False) == 0
    assert await Reservations(database, "alive").recover(alone=False) == 1


async def test_a_process_that_was_taken_for_dead_still_ends_its_calls(database, start):
    process = await start("frozen")
    process.hold("a", ALICE, "smart", 40)
    await database.has(a="open")
    await Reservations(database, "alive").recover(alone=True)
    assert await database.held() == {"a": "lost"}
    process.release("a")
    await database.has()


async def test_leases_are_renewed_and_others_are_looked_for(
    database, start, monkeypatch
):
    monkeypatch.setattr("llm_proxy.ledger.reservations._RENEW_SECONDS", 0.05)
    monkeypatch.setattr("llm_proxy.ledger.reservations._RECOVER_SECONDS", 0.05)
    dead = await start("dead")
    dead.hold("b", ALICE, "smart", 2)
    await database.has(b="open")
    await dead.aclose()
    await database.expire()
    process = await start("alive")
    process.hold("a", ALICE, "smart", 40)
    await database.has(a="open", b="lost")
    # One that was lost by mistake comes back with its renewal.
    await Reservations(database, "other").recover(alone=True)
    await database.has(a="open", b="lost")
    await database.expire()
    await asyncio.sleep(0.2)

    assert await Reservations(database, "other").recover(alone=False) == 0


async def test_who_begins_alone_finds_all_that_is_left(database, start):
    dead = await start("dead")
    dead.hold("a", ALICE, "smart", 40)
    await dead.aclose()
    assert await database.held() == {"a": "open"}
    await start("alive", alone=True)

    assert await database.held() == {"a": "lost"}


async def test_who_began_alone_may_get_company(database, start, monkeypatch):
    monkeypatch.setattr("llm_proxy.ledger.reservations._RECOVER_SECONDS", 0.02)
    await start("first", alone=True)
    (await start("second")).hold("a", ALICE, "smart", 40)
    await database.has(a="open")
    await asyncio.sleep(0.1)

    assert await database.held() == {"a": "open"}


async def test_an_outage_is_told_of_and_holds_up_nobody(database, start):
    dead = await start("dead")
    dead.hold("z", ALICE, "smart", 1)
    await dead.aclose()
    database.is_down = True
    with capture_logs() as lines:
        process = await start("alive", alone=True)
        process.hold("a", ALICE, "smart", 1)
        process.hold("b", ALICE, "smart", 1)
        opened = database.opened
        await until(lambda: database.opened > opened + 1)
        process.release("b")
        database.is_down = False
        await database.has(a="open", z="lost")

    unwritten, lost = lines
    assert (unwritten["event"], unwritten["detail"]) == (
        "reservations_unwritten",
        "taken away",
    )
    assert lost["event"] == "reservations_lost"


async def test_a_long_outage_has_a_bound(database, start, monkeypatch):
    monkeypatch.setattr("llm_proxy.ledger.reservations._MAX_HELD", 2)
    process = await start()
    database.is_down = True
    with capture_logs() as lines:
        for name in "abcd":
            process.hold(name, ALICE, "smart", 1)
        process.release("c")
        process.release("a")
        process.hold("e", ALICE, "smart", 1)
        process.hold("f", ALICE, "smart", 1)
    database.is_down = False
    await database.has(b="open", e="open")

    assert [line["event"] for line in lines].count("reservations_full") == 2


async def test_who_closes_writes_what_waits(database, start):
    process = await start(write_seconds=60)
    process.hold("a", ALICE, "smart", 1)
    process.hold("b", ALICE, "smart", 1)
    process.release("b")
    await process.aclose()
    await process.aclose()

    assert await database.held() == {"a": "open"}


async def test_an_outage_at_the_end_raises_nothing(database, start):
    process = await start(write_seconds=60)
    process.hold("a", ALICE, "smart", 1)
    database.is_down = True
    with capture_logs() as lines:
        await process.aclose()

    assert [line["event"] for line in lines] == ["reservations_unwritten"]


async def test_who_asks_by_itself_hears_of_an_outage(database):
    database.is_down = True
    with pytest.raises(StorageUnavailableError):
        await Reservations(database, "me").recover(alone=True)

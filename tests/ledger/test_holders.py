"""Who has money set aside, as the database knows it."""

import time

import pytest
from structlog.testing import capture_logs
from tests.ledger.writing import Fickle

from llm_proxy.ledger import holders
from llm_proxy.storage import upgrade
from llm_proxy.storage.tables import reservations

LATER_MS = 30_000


@pytest.fixture
async def database(database_url):
    database = Fickle(database_url)
    yield database
    await database.aclose()


async def add(database, *rows) -> None:
    now_ms = time.time_ns() // 1_000_000
    names = ("principal", "organisation", "team", "owner", "asked_model")
    common = dict.fromkeys(names, "") | {"at_ms": now_ms, "nanos": 1}
    async with database.begin() as connection:
        for number, (process, state, ms) in enumerate(rows):
            own = {"id": f"{number}", "process": process, "state": state}
            row = common | own | {"expires_ms": now_ms + ms}
            await connection.execute(reservations.insert().values(row))


async def test_whoever_has_an_open_lease_is_found_once(database):
    await upgrade(database)
    assert list(await holders(database)) == []
    await add(
        database,
        ("me", "open", LATER_MS),
        ("other", "open", LATER_MS),
        ("other", "open", LATER_MS),
        ("dead", "open", -1),
        ("lost", "lost", LATER_MS),
    )

    assert sorted(await holders(database)) == ["me", "other"]


async def test_a_database_that_is_away_is_nobodys(database):
    database.is_down = True

    assert list(await holders(database)) == []


async def test_a_database_without_tables_is_told_of(database):
    with capture_logs() as lines:
        assert list(await holders(database)) == []

    assert [line["event"] for line in lines] == ["holders_unknown"]

"""Reports may take longer than other transactions, and are in nobody's way."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage import Database


@pytest.fixture
async def open_database(database_url):
    opened = []

    async def open_database(**seconds):
        opened.append(Database(database_url, **seconds))
        await opened[-1].open()
        return opened[-1]

    yield open_database
    for database in opened:
        await database.aclose()


async def test_report_may_take_longer_than_what_calls_wait_for(open_database):
    database = await open_database(timeout_seconds=1.0)
    slow = "SELECT 1" if database.is_sqlite else "SELECT 1 FROM pg_sleep(1.2)"

    async with database.report() as connection:
        await asyncio.sleep(1.2 if database.is_sqlite else 0)
        assert await connection.scalar(sa.text(slow)) == 1


async def test_report_ends_in_its_own_time(open_database):
    database = await open_database(report_seconds=1.0)

    with pytest.raises(StorageUnavailableError) as caught:
        async with database.report():
            await asyncio.sleep(60)

    assert caught.value.log_detail == "not done in 1 s"


async def test_reports_take_no_connection_from_calls(open_database):
    database = await open_database(timeout_seconds=10.0)
    held, release = asyncio.Barrier(3), asyncio.Event()

    async def report():
        async with database.report():
            await held.wait()
            await release.wait()

    reports = [asyncio.create_task(report()) for _ in range(2)]
    await held.wait()
    waiting = asyncio.create_task(report())

    async with database.begin() as connection:
        assert await connection.scalar(sa.select(1)) == 1
    assert not waiting.done()

    waiting.cancel()
    release.set()
    await asyncio.gather(*reports)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_reports_only_read(open_database):
    database = await open_database()

    with pytest.raises((DBAPIError, StorageUnavailableError)):
        async with database.report() as connection:
            await connection.exec_driver_sql("CREATE TABLE numbers (number int)")

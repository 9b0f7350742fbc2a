"""Rows that are added without SQLAlchemy, on every database."""

import asyncio
import sqlite3
from contextlib import closing

import asyncpg
import psutil
import pytest
import sqlalchemy as sa
from tests.databases import run_alone

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage import Database, RefusedRowsError, appenders

notes = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("text", sa.String(20), nullable=False),
    sa.Column("seconds", sa.Float),
)


def note(number, text="it's", seconds=0.5):
    return (number, text, seconds)


async def make(database):
    async with database.begin() as connection:
        await connection.run_sync(notes.create)
    return database


@pytest.fixture
async def database(database_url, connect):
    return await make(await connect(database_url))


async def stored(database):
    async with database.read() as connection:
        found = await connection.execute(sa.select(notes).order_by(notes.c.number))
        return [tuple(row) for row in found]


async def test_what_is_added_is_there(database):
    rows = [note(1), note(2, '{"é": "\n"}', None), note(2**62)]

    await database.append(notes, rows)

    assert await stored(database) == rows


async def test_what_is_there_is_left_alone(database):
    await database.append(notes, [note(1), note(1, "again")])
    await database.append(notes, [note(1, "anew"), note(2)])

    assert await stored(database) == [note(1), note(2)]


async def test_rows_that_break_a_rule_are_refused_with_all_others(database):
    with pytest.raises(RefusedRowsError) as caught:
        await database.append(notes, [note(1, "secret"), note(2, None), note(3)])

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert await stored(database) == []
    await database.append(notes, [note(1)])
    assert await stored(database) == [note(1)]


async def test_table_that_is_missing_is_not_hidden(database_url, connect):
    database = await connect(database_url)

    with pytest.raises((sqlite3.OperationalError, asyncpg.UndefinedTableError)):
        await database.append(notes, [note(1)])

    await make(database)
    await database.append(notes, [note(1)])
    assert await stored(database) == [note(1)]


async def test_many_write_at_the_same_time_in_either_way(database):
    async def add(number):
        async with database.begin() as connection:
            await connection.execute(notes.insert(), {"number": number, "text": ""})

    await asyncio.gather(
        *(add(number) for number in range(20)),
        *(database.append(notes, [note(number)]) for number in range(20, 40)),
    )

    assert [number for number, *_ in await stored(database)] == list(range(40))


async def test_callers_who_are_cancelled_harm_nobody(database):
    callers = [
        asyncio.create_task(database.append(notes, [note(number)]))
        for number in range(40)
    ]
    # Some wait for their turn by then, and one is in the middle of it.
    await asyncio.sleep(0.002)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    await database.append(notes, [note(100)])

    assert note(100) in await stored(database)


async def test_nothing_is_added_once_it_is_closed(database_url):
    database = await make(Database(database_url))
    await database.append(notes, [note(1)])

    await database.aclose()

    if database.is_sqlite:
        with pytest.raises(RuntimeError):
            await database.append(notes, [note(2)])


class TestSQLite:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "data" / "test.db"

    async def test_file_is_made_for_its_owner_alone(self, path, connect):
        database = await connect(f"sqlite:///{path}")

        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await database.append(notes, [note(1)])

        assert path.stat().st_mode & 0o777 == 0o600

    async def test_file_that_stays_locked_is_trouble(self, path, connect):
        database = await make(await connect(f"sqlite:///{path}", timeout_seconds=0.4))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            with pytest.raises(StorageUnavailableError) as caught:
                await database.append(notes, [note(1)])

        assert caught.value.log_detail == "OperationalError: database is locked"
        await database.append(notes, [note(2)])
        assert await stored(database) == [note(2)]


@pytest.mark.integration
class TestPostgres:
    async def test_server_that_was_away_is_found_again(self, postgres, connect):
        database = await make(await connect(postgres.url))
        await database.append(notes, [note(1)])

        postgres.stop()
        try:
            for _ in range(2):
                with pytest.raises(StorageUnavailableError):
                    await database.append(notes, [note(2)])
        finally:
            postgres.start()

        await database.append(notes, [note(3)])
        assert await stored(database) == [note(1), note(3)]
        await run_alone(postgres.url, "DROP TABLE notes")

    async def test_values_of_another_type_are_refused(self, postgres_url, connect):
        database = await make(await connect(postgres_url))

        with pytest.raises(RefusedRowsError) as caught:
            await database.append(notes, [note(1), note(2, b"secret")])

        assert "secret" not in str(caught.value)
        assert await stored(database) == []

    @pytest.mark.parametrize(("idle_seconds", "is_kept"), [(60, True), (-1, False)])
    async def test_connection_that_was_idle_for_long_is_replaced(
        self, postgres_url, connect, monkeypatch, idle_seconds, is_kept
    ):
        monkeypatch.setattr(appenders, "_IDLE_SECONDS", idle_seconds)
        database = await make(await connect(postgres_url))
        writer = sa.text(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO notes%'"
            " AND datname = current_database()"
        )

        async def writers():
            async with database.read() as connection:
                return {*await connection.scalars(writer)}

        await database.append(notes, [note(1)])
        first = await writers()
        await database.append(notes, [note(2)])

        assert len(first) == 1
        assert (await writers() == first) == is_kept

    async def test_connection_that_is_ended_by_others_is_replaced(
        self, postgres_url, connect
    ):
        database = await make(await connect(postgres_url))
        await database.append(notes, [note(1)])

        await run_alone(
            postgres_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        # So that this end has heard of it as well.
        await asyncio.sleep(0.1)
        await database.append(notes, [note(2)])

        assert await stored(database) == [note(1), note(2)]

    async def test_server_that_is_silent_is_not_waited_for(self, postgres, connect):
        database = await make(await connect(postgres.url, timeout_seconds=1.5))
        await database.append(notes, [note(1)])
        server = psutil.Process(postgres.pid)
        processes = [server, *server.children(recursive=True)]

        for process in processes:
            process.suspend()
        try:
            async with asyncio.timeout(30):
                with pytest.raises(StorageUnavailableError) as caught:
                    await database.append(notes, [note(2)])
                with pytest.raises(StorageUnavailableError):
                    await database.append(notes, [note(2)])
        finally:
            for process in processes:
                process.resume()

        assert caught.value.log_detail == "not done in 1.5 s"
        await database.append(notes, [note(3)])
        assert {note(1), note(3)} <= set(await stored(database))
        await run_alone(postgres.url, "DROP TABLE notes")

    async def test_server_works_on_for_nobody_who_has_left(self, postgres_url, connect):
        database = await make(await connect(postgres_url, timeout_seconds=0.2))
        other = await connect(postgres_url)
        waiting = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )

        async with other.begin() as connection:
            await connection.exec_driver_sql("LOCK TABLE notes")
            with pytest.raises(StorageUnavailableError):
                await database.append(notes, [note(1)])
            async with asyncio.timeout(20):
                while await connection.scalar(waiting):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)

        await database.append(notes, [note(2)])
        assert await stored(database) == [note(2)]

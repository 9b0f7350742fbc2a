import asyncio
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from llm_proxy import storage
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage import SchemaStatus, check, find_status, metadata, upgrade


@pytest.fixture
async def database(database_url, connect):
    return await connect(database_url)


async def execute(database, statement):
    async with database.begin() as connection:
        await connection.exec_driver_sql(statement)


async def tables(database):
    async with database.read() as connection:
        return await connection.run_sync(
            lambda sync: set(sa.inspect(sync).get_table_names())
        )


async def test_migrations_make_the_tables_of_the_program(database):
    def differences(connection):
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)

    await upgrade(database)

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await tables(database) == {*metadata.tables, "alembic_version"}


async def test_empty_database_must_be_upgraded(database):
    with pytest.raises(ConfigurationError, match="run `llm-proxy db upgrade`"):
        await check(database)

    await upgrade(database)

    await check(database)


async def test_second_upgrade_changes_nothing(database):
    await upgrade(database)
    before = await find_status(database)

    await upgrade(database)

    assert await find_status(database) == before
    assert before.is_current


@pytest.mark.parametrize("act", [check, upgrade])
async def test_newer_database_is_left_alone(database, act):
    await upgrade(database)
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigurationError, match=r"newer \(9999\) than this program"):
        await act(database)

    assert (await find_status(database)).revision == "9999"


def test_older_database_must_be_upgraded():
    status = SchemaStatus("0001", ("0001", "0002"))

    assert not status.is_newer
    assert "older (0001) than this program (0002)" in status.problem
    assert "run `llm-proxy db upgrade`" in status.problem


async def test_upgrade_that_fails_leaves_nothing(database):
    # In the way of the last statement of the first migration.
    await execute(database, "CREATE TABLE ledger_principal_at_ms (number INTEGER)")

    with pytest.raises(DBAPIError, match="ledger_principal_at_ms"):
        await upgrade(database)

    assert await tables(database) == {"ledger_principal_at_ms"}


async def test_migrations_are_those_that_alembic_finds(connect):
    script = ScriptDirectory(f"{storage.__path__[0]}/migrations")
    revisions = [script.revision for script in script.walk_revisions()]

    status = await find_status(await connect("sqlite://"))

    assert status.known == tuple(reversed(revisions))


UPGRADE = """
import asyncio, sys
from llm_proxy.storage import Database, check, upgrade

async def start():
    database = Database(sys.argv[1], timeout_seconds=60)
    sys.stdin.readline()
    await database.open()
    await upgrade(database)
    await check(database)
    await database.aclose()

asyncio.run(start())
"""


@pytest.mark.integration
@pytest.mark.parametrize("database_url", ["file", "postgres"], indirect=True)
async def test_processes_may_upgrade_at_the_same_time(database_url):
    children = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", UPGRADE, database_url),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]

    ends = await asyncio.gather(*(child.communicate(b"\n") for child in children))

    assert [error.decode() for _, error in ends] == [""] * 4
    assert [child.returncode for child in children] == [0] * 4

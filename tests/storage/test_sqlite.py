import asyncio
import gc
import os
import signal
import sqlite3
import stat
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage import Database


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "test.db"


@pytest.fixture
async def database(path, connect):
    database = await connect(f"sqlite:///{path}", timeout_seconds=2)
    async with database.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER)")
    return database


async def insert(database, number=1):
    async with database.begin() as connection:
        await connection.execute(
            sa.text("INSERT INTO numbers VALUES (:number)"), {"number": number}
        )


async def count(database):
    async with database.read() as connection:
        return await connection.scalar(sa.text("SELECT count(*) FROM numbers"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_owner_reads_the_file(database, path):
    await insert(database)

    assert mode(path.parent) == 0o700
    assert {each.name: mode(each) for each in path.parent.iterdir()} == {
        "test.db": 0o600,
        "test.db-wal": 0o600,
        "test.db-shm": 0o600,
    }


async def test_modes_of_what_is_there_are_left_alone(path, connect):
    path.parent.mkdir(mode=0o750)
    path.touch()
    path.chmod(0o640)

    await connect(f"sqlite:///{path}")

    assert (mode(path.parent), mode(path)) == (0o750, 0o640)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1)],
)
async def test_connections_are_set_up(database, pragma, value):
    async with database.read() as connection:
        assert await connection.scalar(sa.text(f"PRAGMA {pragma}")) == value


async def test_readers_and_a_writer_do_not_wait_for_each_other(database):
    await insert(database)

    async with database.begin() as writer:
        await writer.exec_driver_sql("INSERT INTO numbers VALUES (2)")
        assert await count(database) == 1
    async with database.read() as reader:
        await reader.exec_driver_sql("SELECT * FROM numbers")
        await insert(database)

    assert await count(database) == 3


async def test_file_that_another_process_holds_is_waited_for(database, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(insert(database))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        other.execute("COMMIT")
        await waiting

    assert await count(database) == 1


async def test_file_without_a_log_ahead_gets_one_when_it_is_free(path, connect):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE numbers (number INTEGER)")
        other.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(connect(f"sqlite:///{path}"))
        await asyncio.sleep(0.1)
        assert not opening.done()
        other.execute("COMMIT")
        database = await opening

    async with database.read() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"


async def test_file_that_stays_locked_is_trouble(database, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StorageUnavailableError) as caught:
            await insert(database)

    assert caught.value.log_detail == "OperationalError: database is locked"
    await insert(database)


async def test_full_disk_is_trouble(database):
    async with database.begin() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1")

    async def fill():
        async with database.begin() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1")
            await connection.exec_driver_sql(
                "INSERT INTO numbers VALUES (zeroblob(100000))"
            )

    with pytest.raises(StorageUnavailableError) as caught:
        await fill()

    assert caught.value.log_detail == "OperationalError: database or disk is full"


async def test_file_that_is_no_database_is_trouble(path):
    path.parent.mkdir()
    path.write_bytes(b"something else entirely" * 1000)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(StorageUnavailableError) as caught:
        await database.open()

    assert caught.value.log_detail == "DatabaseError: file is not a database"
    await database.aclose()


@pytest.fixture
def read_only():
    """A folder in which nobody may write, not even root."""
    folder = Path(tempfile.mkdtemp(prefix="llm-proxy-read-only-"))
    yield folder
    os.seteuid(os.getuid())
    folder.chmod(0o700)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def forbid(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)


async def test_folder_that_may_not_be_written_is_trouble(read_only):
    forbid(read_only)
    database = Database(f"sqlite:///{read_only}/test.db")

    with pytest.raises(StorageUnavailableError) as caught:
        await database.open()

    assert caught.value.log_detail.startswith("PermissionError: ")
    await database.aclose()


async def test_file_that_may_not_be_written_is_trouble(read_only):
    path = read_only / "test.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    forbid(read_only)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(StorageUnavailableError) as caught:
        await insert(database)

    assert caught.value.log_detail.startswith("PermissionError: ")
    await database.aclose()


async def test_connection_that_may_not_write_is_trouble(database):
    async def write():
        async with database.begin() as connection:
            await connection.exec_driver_sql("PRAGMA query_only = ON")
            await connection.exec_driver_sql("INSERT INTO numbers VALUES (1)")

    with pytest.raises(StorageUnavailableError) as caught:
        await write()

    assert "readonly database" in caught.value.log_detail


async def test_file_is_made_as_soon_as_it_can_be(tmp_path):
    (tmp_path / "data").write_bytes(b"in the way")
    database = Database(f"sqlite:///{tmp_path}/data/test.db")
    with pytest.raises(StorageUnavailableError):
        await database.open()

    (tmp_path / "data").unlink()
    async with database.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER)")

    assert mode(tmp_path / "data" / "test.db") == 0o600
    await database.aclose()


WRITE = """
import asyncio, sys
from llm_proxy.storage import Database

async def write():
    database = Database(sys.argv[1])
    await database.open()
    for number in range(1_000_000):
        async with database.begin() as connection:
            await connection.exec_driver_sql(f"INSERT INTO numbers VALUES ({number})")
        print(number, flush=True)

asyncio.run(write())
"""


@pytest.mark.integration
async def test_process_that_is_killed_loses_nothing(database, path):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITE, f"sqlite:///{path}"),
        stdout=asyncio.subprocess.PIPE,
    )
    while await child.stdout.readline() != b"50\n":
        pass
    child.send_signal(signal.SIGKILL)
    rest = (await child.stdout.read()).split(b"\n")
    await child.wait()
    told = max([50, *(int(line) for line in rest[:-1])])

    assert await count(database) in (told + 1, told + 2)


async def test_databases_in_memory_are_strangers(connect):
    one, two = await connect("sqlite://"), await connect("sqlite://")
    async with one.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER)")

    await insert(one)

    assert await count(one) == 1
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        await count(two)


async def test_cancelled_transactions_leave_no_lock(database):
    """SQLite keeps a closed connection, and its lock, for cursors that still live."""

    async def insert_and_look() -> None:
        async with database.begin() as connection:
            await connection.exec_driver_sql("INSERT INTO numbers VALUES (1)")
            await connection.exec_driver_sql("SELECT * FROM numbers")

    gc.disable()
    try:
        for turns in range(60):
            inserting = [asyncio.create_task(insert_and_look()) for _ in range(20)]
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            for task in inserting:
                task.cancel()
            await asyncio.gather(*inserting, return_exceptions=True)
            await insert(database)
    finally:
        gc.enable()

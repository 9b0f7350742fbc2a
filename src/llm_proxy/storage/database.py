"""The one database of the service, whichever it is."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage.address import SQLiteAddress, read_address
from llm_proxy.storage.appenders import (
    Appender,
    PostgresAppender,
    Row,
    SQLiteAppender,
    insertion,
)
from llm_proxy.storage.engines import (
    postgres_connector,
    postgres_engine,
    prepare_file,
    sqlite_connection,
    sqlite_engine,
)
from llm_proxy.storage.faults import reported, reported_by_driver, unavailable

_SQLITE = "sqlite+aiosqlite"
# At a time; the others wait.
_MAX_REPORTS = 2


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
        report_seconds: How long a report may take.

    Raises:
        ConfigurationError: The address is not valid, or its driver is missing.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float = 5.0, report_seconds: float = 30.0
    ) -> None:
        self._address = read_address(url)
        self._timeout_seconds = timeout_seconds
        self._report_seconds = report_seconds
        self._wait_seconds = timeout_seconds / 2
        self._memory: sqlite3.Connection | None = None
        self._unmade: Path | None = None
        # Writers in this process queue here: fairly, and without asking SQLite again
        # and again.
        self._turn: AbstractAsyncContextManager[None] = nullcontext()
        if isinstance(self._address, SQLiteAddress):
            self._turn = asyncio.Lock()
            self._unmade = self._address.path
            self._set_up_sqlite(self._address.path)
        else:
            self._set_up_postgres(self._address.dsn)
        self._insertions: dict[sa.Table, str] = {}

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; PostgreSQL otherwise."""
        return isinstance(self._address, SQLiteAddress)

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a database in memory or of a server."""
        return self._address.path if isinstance(self._address, SQLiteAddress) else None

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
                await asyncio.gather(
                    self._appender.aclose(),
                    self._engine.dispose(),
                    self._reporting.dispose(),
                )
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

    def report(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that reads for long, in nobody else's way.

        Returns:
            A connection; there are few of them, which only reports use.

        Raises:
            StorageUnavailableError: The database is in trouble, or took too long.
        """
        return self._transaction(self._reporting, nullcontext(), self._report_seconds)

    async def append(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Add rows in a transaction of their own, at a fraction of the cost of `begin`.

        A row whose primary key is there already is left out, so that rows whose fate is
        not known, because of an error or a cancellation, may be added again.

        Args:
            table: Where to.
            rows: At least one, with a value for each column of the table.

        Raises:
            StorageUnavailableError: The database is in trouble, or took too long.
            RefusedRowsError: A row breaks a rule of the table; none is added.
        """
        if table not in self._insertions:
            self._insertions[table] = insertion(table, self._engine.dialect)
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turn:
                await self._make_file()
                with reported_by_driver():
                    await self._appender.append(self._insertions[table], rows)
        except TimeoutError as error:
            raise _too_late(self._timeout_seconds) from error

    @asynccontextmanager
    async def _transaction(
        self,
        engine: AsyncEngine,
        turn: AbstractAsyncContextManager[None],
        seconds: float | None = None,
    ) -> AsyncGenerator[AsyncConnection]:
        seconds = seconds or self._timeout_seconds
        limit = asyncio.timeout(seconds)
        try:
            with reported():
                async with limit, turn:
                    await self._make_file()
                    async with engine.begin() as connection:
                        yield connection
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise _too_late(seconds) from error

    async def _make_file(self) -> None:
        """Prepare the file of SQLite, once: SQLite would make one that all can read."""
        if self._unmade is None:
            return
        try:
            await prepare_file(self._unmade, self._wait_seconds)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(error) from error
        self._unmade = None

    def _set_up_sqlite(self, path: Path | None) -> None:
        name, query = str(path), {}
        if path is None:
            # A connection is given up when its caller is cancelled, and a database that
            # belonged to it alone would be gone. This one lives as long as `_memory`.
            name, query = f"file:/{uuid.uuid4()}?vfs=memdb", {"uri": "true"}
            self._memory = sqlite3.connect(name, uri=True)
        url = sa.URL.create(_SQLITE, database=name, query=query)
        wait, is_uri = self._wait_seconds, path is None
        self._engine = sqlite_engine(url, wait)
        reports = sqlite_engine(url, wait, _MAX_REPORTS)
        self._reading, self._reporting = (
            each.execution_options(sqlite_begin="BEGIN")
            for each in (self._engine, reports)
        )
        self._appender: Appender = SQLiteAppender(
            partial(sqlite_connection, name, wait, is_uri=is_uri)
        )

    def _set_up_postgres(self, dsn: str) -> None:
        wait = self._wait_seconds
        connect = postgres_connector(dsn, wait, self._timeout_seconds)
        report = postgres_connector(dsn, wait, self._report_seconds)
        self._engine = postgres_engine(connect, wait)
        # As many again may be opened.
        reports = postgres_engine(report, wait, _MAX_REPORTS // 2)
        self._reading, self._reporting = (
            each.execution_options(postgresql_readonly=True)
            for each in (self._engine, reports)
        )
        self._appender = PostgresAppender(connect)


def _too_late(seconds: float) -> StorageUnavailableError:
    return unavailable(f"not done in {seconds:g} s")

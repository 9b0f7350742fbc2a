"""Adds rows on a connection of its own, a group of rows in one go.

A transaction by way of SQLAlchemy takes a millisecond of CPU, whatever is in it: too
much for what every call has to wait for. Here it is one message to the driver.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from llm_proxy.storage.faults import unavailable

Value = str | int | float | None
# One value for each column of a table, in their order.
Row = tuple[Value, ...]

# Balancers and NAT gateways forget connections that were quiet for 4 to 6 minutes.
_IDLE_SECONDS = 180
_CLOSE_SECONDS = 2.0


class Appender(Protocol):
    """Runs one statement for many rows, in a transaction."""

    async def append(self, statement: str, rows: Sequence[Row]) -> None:
        """Add rows: all of them, or none; errors are those of the driver."""
        ...

    async def aclose(self) -> None:
        """Close the connection, after which nothing can be added."""
        ...


class SQLiteAppender:
    """Writes from a thread of its own, because SQLite blocks.

    Args:
        connect: Makes a connection that begins no transactions by itself.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-appender")

    async def append(self, statement: str, rows: Sequence[Row]) -> None:
        """Add rows; who does not wait for the end may still have them added.

        Args:
            statement: With a question mark for each value.
            rows: At least one.

        Raises:
            sqlite3.Error: None is added.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._append, statement, rows)

    async def aclose(self) -> None:
        """Close the connection, after what is under way."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        await closing

    def _append(self, statement: str, rows: Sequence[Row]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            # Which undoes what was begun, and forgets a file that is broken.
            self._close()
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class PostgresAppender:
    """Writes in one round trip, the commit included.

    Args:
        connect: Makes a connection of asyncpg.
    """

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._used_at = 0.0
        self._turn = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def append(self, statement: str, rows: Sequence[Row]) -> None:
        """Add rows; who does not wait for the end may still have them added.

        Args:
            statement: With ``$1`` and so on for the values.
            rows: At least one.

        Raises:
            StorageUnavailableError: There is no connection to the server.
            asyncpg.PostgresError: The server says why none is added.
            ValueError: A value is not of its column's type; none is added.
        """
        import asyncpg

        async with self._turn:
            connection = await self._connected()
            try:
                # A transaction by itself.
                await connection.executemany(statement, rows)
            except BaseException as error:
                # Nobody knows what the server has still to say on this one.
                self._drop()
                if isinstance(error, asyncpg.InterfaceError) and not isinstance(
                    error, ValueError
                ):
                    raise unavailable(error) from error
                raise
            self._used_at = time.monotonic()

    async def aclose(self) -> None:
        """Close the connection, after what is under way."""
        async with self._turn:
            self._drop()
            if self._closing:
                await asyncio.wait(self._closing)

    async def _connected(self) -> Any:  # noqa: ANN401 - asyncpg's, which may be missing
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._drop()
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            closing = asyncio.get_running_loop().create_task(_close(connection))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _close(connection: Any) -> None:  # noqa: ANN401 - asyncpg's
    """Close a connection of Postgres, and end what the server is doing for it.

    A server that works, or waits for a lock, does not look whether the other end is
    still there, and its locks keep others waiting.
    """
    import asyncpg

    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.close(timeout=_CLOSE_SECONDS)


def insertion(table: sa.Table, dialect: sa.Dialect) -> str:
    """Write the statement that adds a row, unless its primary key is there already.

    Args:
        table: Where to.
        dialect: Of the database and its driver.

    Returns:
        SQL with a place for each column, in their order.
    """
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    keys = list(table.primary_key)
    statement = insert(table).on_conflict_do_nothing(index_elements=keys)
    return str(statement.compile(dialect=dialect))

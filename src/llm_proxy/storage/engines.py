"""SQLAlchemy's engines, set up for either database."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from llm_proxy.settings import ConfigurationError
from llm_proxy.storage.address import malformed
from llm_proxy.storage.faults import unavailable

# Makes a connection of asyncpg.
Connect = Callable[[], Coroutine[Any, Any, Any]]

_POOL_SIZE = 5
# Balancers and NAT gateways forget connections that were quiet for 4 to 6 minutes.
_RECYCLE_SECONDS = 180
_PAUSE_SECONDS = 0.02


class _Connection(sqlite3.Connection):
    """A connection that gives back its lock when it is closed.

    One whose caller was cancelled is closed while a cursor may still refer to it.
    SQLite then keeps it, with its transaction and its lock, as long as the cursor.
    Source: https://www.sqlite.org/c3ref/close.html
    """

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()


def sqlite_engine(
    url: sa.URL, wait_seconds: float, size: int = _POOL_SIZE
) -> AsyncEngine:
    """Make an engine for SQLite whose transactions write, unless they say otherwise.

    The driver begins no transactions by itself, so that what is begun here is what is
    rolled back, tables included.

    Args:
        url: As SQLAlchemy has it.
        wait_seconds: How long to wait for other writers, and for a connection.
        size: How many connections there may be.

    Returns:
        The engine; the option ``sqlite_begin`` replaces ``BEGIN IMMEDIATE``.
    """
    engine = create_async_engine(
        url,
        connect_args={
            "factory": _Connection,
            "isolation_level": None,
            "timeout": wait_seconds,
        },
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_seconds,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", lambda made, _: _set_up(made))
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def sqlite_connection(
    name: str, wait_seconds: float, *, is_uri: bool
) -> sqlite3.Connection:
    """Connect to SQLite without SQLAlchemy, for one thread.

    Args:
        name: A path or a URI.
        wait_seconds: How long to wait for other writers.
        is_uri: Which of the two.

    Returns:
        A connection that begins no transactions by itself.
    """
    connection = sqlite3.connect(
        name, timeout=wait_seconds, isolation_level=None, uri=is_uri
    )
    _set_up(connection)
    return connection


def _set_up(connection: Any) -> None:  # noqa: ANN401 - of any driver
    cursor = connection.cursor()
    # With WAL, a commit outlives the process at once, and the power at the next
    # checkpoint: a power cut may take the latest commits, and never harms the rest.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    # A transaction that reads first and writes later would fail without waiting if
    # somebody else has written in between.
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN IMMEDIATE"))


async def prepare_file(path: Path, wait_seconds: float) -> None:
    """Make a SQLite file that only its owner reads, with a write-ahead log.

    Args:
        path: Where; the folder is made if it is missing.
        wait_seconds: How long to wait for other processes.
    """
    # SQLite does not wait by itself where two processes change the mode at a time, and
    # other processes tell nobody when they are done.
    while not await asyncio.to_thread(_is_prepared, path, wait_seconds):  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE_SECONDS)


def _is_prepared(path: Path, wait_seconds: float) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=wait_seconds)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
    return True


def postgres_engine(
    connect: Connect, wait_seconds: float, size: int = _POOL_SIZE
) -> AsyncEngine:
    """Make an engine for PostgreSQL, with a bounded pool that notices restarts.

    Args:
        connect: As `postgres_connector` makes it.
        wait_seconds: How long to wait for a connection.
        size: How many connections are kept; for some time there may be as many again.

    Returns:
        The engine; it does not know the password.
    """
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=size,
        pool_timeout=wait_seconds,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
    )


def postgres_connector(
    dsn: str, wait_seconds: float, statement_seconds: float
) -> Connect:
    """Make what connects to PostgreSQL.

    Args:
        dsn: The address as asyncpg reads it.
        wait_seconds: How long to wait for the server.
        statement_seconds: How long a statement may take.

    Returns:
        Connects, as asyncpg does it; trouble is `StorageUnavailableError`.

    Raises:
        ConfigurationError: The driver is not installed.
    """
    try:
        import asyncpg
    except ImportError:
        raise ConfigurationError(
            "DATABASE_URL: PostgreSQL needs the extra: "
            'pip install "llm-proxy[postgres]"'
        ) from None

    async def connect() -> Any:  # noqa: ANN401 - asyncpg's, which may be missing
        try:
            return await asyncpg.connect(
                dsn,
                timeout=wait_seconds,
                command_timeout=statement_seconds,
                server_settings={"application_name": "llm-proxy"},
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise unavailable(error) from error
        except ValueError:
            raise malformed() from None
        except asyncpg.InterfaceError as error:
            raise unavailable(error) from error

    return connect

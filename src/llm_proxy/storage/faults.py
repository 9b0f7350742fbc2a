"""Which exceptions mean that the database is in trouble, and not that we are."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from llm_proxy.errors import StorageUnavailableError

# Primary result codes, the low byte of the extended ones.
# Source: https://www.sqlite.org/rescode.html
_SQLITE_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
# How an SQLSTATE begins. Source: PostgreSQL, "Appendix A. Error Codes".
_POSTGRES_TROUBLE = (
    "08",  # connection
    "25006",  # a server that only reads, such as a replica
    "28",  # who we are
    "3D",  # no such database
    "40",  # a deadlock or a conflict, undone by the server
    "53",  # no room, no memory, no connection left
    "55P03",  # a lock that is not to be had
    "57",  # stopping, starting, cancelled
    "58",  # the system under the server
    "XX",  # a defect of the server, or of its data
)


# What rows must be for any database to take them: whole, distinct, of their types.
_SQLITE_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError)
_POSTGRES_REFUSALS = ("22", "23")


class RefusedRowsError(Exception):
    """Rows that break a rule of their table, which no waiting mends."""


@contextmanager
def reported() -> Generator[None]:
    """Tell the trouble of the database from our own mistakes, which pass as they are.

    Yields:
        Nothing.

    Raises:
        StorageUnavailableError: The database is not there, or cannot do its work.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise unavailable("all connections are taken") from error
    except DBAPIError as error:
        if error.connection_invalidated or is_trouble(error.orig):
            raise unavailable(error.orig) from error
        raise


@contextmanager
def reported_by_driver() -> Generator[None]:
    """Do as `reported` where a driver is used without SQLAlchemy.

    Yields:
        Nothing.

    Raises:
        StorageUnavailableError: The database is not there, or cannot do its work.
        RefusedRowsError: It works, and does not take the rows. The text does not
            repeat them.
    """
    try:
        yield
    except Exception as error:
        if is_trouble(error) or isinstance(error, OSError):
            raise unavailable(error) from error
        if _is_refusal(error):
            raise RefusedRowsError(type(error).__name__) from None
        raise


def _is_refusal(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None) or ""
    # The drivers' word for values of a wrong type is one of the last two.
    return state.startswith(_POSTGRES_REFUSALS) or isinstance(
        error, (*_SQLITE_REFUSALS, ValueError, OverflowError)
    )


def is_trouble(error: BaseException | None) -> bool:
    """Decide whether an error of a driver is the database's.

    Args:
        error: As sqlite3 or asyncpg raises it, or SQLAlchemy's form of asyncpg's.

    Returns:
        False for what no waiting mends: wrong SQL, and rows that break a constraint.
    """
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _SQLITE_TROUBLE
    state = getattr(error, "sqlstate", None) or ""
    return state.startswith(_POSTGRES_TROUBLE)


def unavailable(reason: object) -> StorageUnavailableError:
    """Make the error that tells operators what the database has said.

    Args:
        reason: A sentence, or what was raised.

    Returns:
        The error to raise.
    """
    said = next(iter(str(reason).splitlines()), "")
    if isinstance(reason, BaseException):
        said = f"{type(reason).__name__}: {said}" if said else type(reason).__name__
    return StorageUnavailableError(log_detail=said)

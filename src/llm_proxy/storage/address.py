"""What the text of ``DATABASE_URL`` means."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from llm_proxy.settings import ConfigurationError

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRES = ("postgres", "postgresql", "postgresql+asyncpg")
# Known to libpq alone; asyncpg would ask the server to set them, which refuses.
_LIBPQ_ONLY = ("channel_binding", "connect_timeout")


@dataclass(frozen=True, slots=True)
class SQLiteAddress:
    """A database of this process, or of those on this machine.

    Attributes:
        path: The file; None for a database in memory.
    """

    path: Path | None


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database of a server.

    Attributes:
        dsn: The whole address as asyncpg reads it. It may hold a password.
    """

    dsn: str = field(repr=False)


def read_address(url: str) -> SQLiteAddress | PostgresAddress:
    """Read an address as SQLAlchemy writes it, or as platforms hand it out.

    Args:
        url: Such as ``sqlite:///ledger.sqlite3`` or ``postgres://user@host/name``.

    Returns:
        Where the database is.

    Raises:
        ConfigurationError: It is no address of a database that we know; the text does
            not repeat it, because of the password.
    """
    scheme = url.partition("://")[0].lower()
    try:
        if scheme in _SQLITE:
            return _sqlite(url)
        if scheme in _POSTGRES:
            return PostgresAddress(_dsn(url))
    except (ValueError, ArgumentError):
        raise malformed() from None
    raise ConfigurationError("DATABASE_URL: must begin with sqlite:// or postgresql://")


def malformed() -> ConfigurationError:
    """Describe an address that cannot be read, without a word of it.

    Returns:
        The error to raise.
    """
    return ConfigurationError(
        "DATABASE_URL: is no valid address; special characters of a password must be "
        "written as %XX"
    )


def _sqlite(url: str) -> SQLiteAddress:
    parts = sa.make_url(url)
    if parts.host or parts.query:
        raise ValueError
    if parts.database in (None, "", ":memory:"):
        return SQLiteAddress(None)
    return SQLiteAddress(Path(str(parts.database)).absolute())


def _dsn(url: str) -> str:
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    query = urlencode([each for each in options if each[0] not in _LIBPQ_ONLY])
    return parts._replace(scheme="postgresql", query=query).geturl()

"""Brings the tables of a database to what this program expects, and tells if not."""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from llm_proxy.settings import ConfigurationError
from llm_proxy.storage.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as all processes have the same.
_LOCK = 0x6C6C6D70
_REVISIONS = sa.table("alembic_version", sa.column("version_num", sa.String))


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How far the tables of a database are.

    Attributes:
        revision: The latest migration that it has seen; None before the first.
        known: The migrations of this program, in their order.
    """

    revision: str | None
    known: tuple[str, ...]

    @property
    def is_newer(self) -> bool:
        """Whether a later version of the program has been here."""
        return self.revision is not None and self.revision not in self.known

    @property
    def is_current(self) -> bool:
        """Whether the program can work with it."""
        return self.revision == self.known[-1]

    @property
    def problem(self) -> str:
        """What is wrong and what to do about it; empty if nothing is."""
        if self.is_current:
            return ""
        if self.is_newer:
            return (
                f"DATABASE_URL: the database is newer ({self.revision}) than this "
                f"program ({self.known[-1]}): install a newer llm-proxy"
            )
        if self.revision is None:
            return "DATABASE_URL: the database is empty: run `llm-proxy db upgrade`"
        return (
            f"DATABASE_URL: the database is older ({self.revision}) than this program "
            f"({self.known[-1]}): run `llm-proxy db upgrade`"
        )


async def find_status(database: Database) -> SchemaStatus:
    """Look how far the tables of a database are.

    Args:
        database: An open one.

    Returns:
        What was found.

    Raises:
        StorageUnavailableError: The database is in trouble.
    """
    async with database.read() as connection:
        return await connection.run_sync(_status)


async def check(database: Database) -> None:
    """Refuse a database whose tables are not those of this program.

    Args:
        database: An open one.

    Raises:
        ConfigurationError: It must be upgraded, or the program must be.
        StorageUnavailableError: The database is in trouble.
    """
    status = await find_status(database)
    if status.problem:
        raise ConfigurationError(status.problem)


async def upgrade(database: Database) -> None:
    """Bring the tables to what this program expects: all migrations, or none.

    Any number of processes may do so at the same time: one works, the others wait and
    find it done.

    Args:
        database: An open one; all must be done within its time-out.

    Raises:
        ConfigurationError: A later version of the program has been here.
        StorageUnavailableError: The database is in trouble.
    """
    if (await find_status(database)).is_current:
        return
    # Takes long to import: not at all where nothing is to be done, and not while others
    # wait for this transaction.
    import alembic.command  # noqa: F401

    async with database.begin() as connection:
        if not database.is_sqlite:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        await connection.run_sync(_upgrade)


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    status = _status(connection)
    if status.is_newer:
        raise ConfigurationError(status.problem)
    if status.is_current:
        return
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


def _status(connection: sa.Connection) -> SchemaStatus:
    # A migration's file is named `<revision>_<what it is about>.py`.
    files = (_MIGRATIONS / "versions").glob("*_*.py")
    known = tuple(sorted(path.stem.partition("_")[0] for path in files))
    has_seen_any = sa.inspect(connection).has_table(_REVISIONS.name)
    found = sa.select(_REVISIONS.c.version_num)
    return SchemaStatus(connection.scalar(found) if has_seen_any else None, known)

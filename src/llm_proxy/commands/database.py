"""``llm-proxy db``: the tables of the database."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.settings import ConfigurationError, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from llm_proxy.storage import Database

# Large tables take long to be changed.
_UPGRADE_SECONDS = 600.0

commands = typer.Typer(help="The database.", no_args_is_help=True)


@asynccontextmanager
async def opened(seconds: float = 30.0) -> AsyncGenerator[Database]:
    """Open the database of the settings.

    Args:
        seconds: How long one transaction may take.

    Yields:
        The database.

    Raises:
        ConfigurationError: There is none, or it does not answer.
    """
    # It brings SQLAlchemy, for which no other command should have to wait.
    from llm_proxy.storage import Database

    settings = load_settings()
    if not settings.has_database:
        raise ConfigurationError("DATABASE_URL: this command needs a database")
    url = settings.database_url.get_secret_value()
    database = Database(url, timeout_seconds=seconds)
    try:
        await database.open()
        yield database
    except StorageUnavailableError as error:
        detail = error.log_detail or error.message
        raise ConfigurationError(f"DATABASE_URL: {detail}") from error
    finally:
        await database.aclose()


@commands.command("upgrade")
def upgrade_command() -> None:
    """Make the tables, or bring them to what this version expects."""
    typer.echo(asyncio.run(_upgrade()))


@commands.command("status")
def status_command() -> None:
    """Say whether the tables are those of this version; status 1 if not."""
    problem = asyncio.run(_problem())
    typer.echo(problem or "The database is up to date.")
    raise typer.Exit(1 if problem else 0)


async def _upgrade() -> str:
    from llm_proxy.storage import find_status, upgrade

    async with opened(_UPGRADE_SECONDS) as database:
        before = await find_status(database)
        if before.is_current:
            return "The database is up to date."
        await upgrade(database)
        after = await find_status(database)
    return f"The database is upgraded: {before.revision or 'empty'} -> {after.revision}"


async def _problem() -> str:
    from llm_proxy.storage import find_status

    async with opened() as database:
        return (await find_status(database)).problem

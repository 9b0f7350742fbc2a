"""A ledger on SQLite and on a real Postgres."""

from collections.abc import Awaitable, Callable

import pytest
from tests.databases import (  # noqa: F401 - fixtures
    connect,
    database_url,
    postgres,
    postgres_url,
)

from llm_proxy.storage import Database, ledger, metadata


@pytest.fixture
async def database(database_url, connect) -> Database:  # noqa: F811
    """A database with an empty ledger."""
    database = await connect(database_url)
    async with database.begin() as connection:
        await connection.run_sync(metadata.create_all)
    return database


@pytest.fixture
def add(database) -> Callable[..., Awaitable[None]]:
    """Adds rows to the ledger."""

    async def add(*rows: dict[str, object]) -> None:
        async with database.begin() as connection:
            await connection.execute(ledger.insert(), rows)

    return add

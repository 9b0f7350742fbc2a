"""Stores in memory, in SQLite and in a real Postgres, and the time that passes."""

from collections.abc import AsyncIterator

import pytest
from tests.databases import (  # noqa: F401 - fixtures
    connect,
    postgres,
    postgres_url,
)

from llm_proxy.idempotency import DatabaseStore, MemoryStore, Store
from llm_proxy.storage import metadata


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "file", "postgres"])
def url(request, tmp_path) -> str | None:
    """The address of an empty database; None for a store that needs none."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/test.db" if request.param == "file" else None


@pytest.fixture
async def stores(url, clock, connect) -> AsyncIterator[list[Store]]:  # noqa: F811
    """One store as two processes know it; in memory there is only one process."""
    if url is None:
        yield [MemoryStore(2**20, clock)] * 2
        return
    databases = [await connect(url) for _ in range(2)]
    async with databases[0].begin() as connection:
        await connection.run_sync(metadata.create_all)
    stores = [DatabaseStore(database, clock) for database in databases]
    yield stores
    for store in stores:
        await store.aclose()


@pytest.fixture
def store(stores) -> Store:
    return stores[0]

"""What the tests of the writing half share: entries, and a database that fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger import Cost, Entry
from llm_proxy.storage import Database, ledger, metadata
from llm_proxy.types import Usage

ENTRY = Entry(
    id="00000000-0000-0000-0000-000000000000",
    at_ms=1_795_000_000_123,
    request_id="req-1",
    attempt=2,
    principal="alice",
    project="sheets",
    feature="chat",
    asked_model="smart",
    provider="openai",
    model="gpt-4o",
    answered_model="gpt-4o-2024-08-06",
    usage=Usage(11, 7, 5, 3, 2, "provider"),
    cost=Cost(123_456, "catalogue", '{"input":2.5}'),
    status="answered",
    code="",
    seconds=1.25,
    first_token_seconds=0.5,
    organisation="acme",
    team="red",
    owner="ada",
    user_id="u-1",
    cache="miss",
)


def entry(name: object, **fields: object) -> Entry:
    return ENTRY._replace(id=str(name), **fields)


class Fickle(Database):
    """A real database that a test can take away, or hold up.

    Attributes:
        is_down: Whether it is away.
        is_full: Whether it takes no rows, though transactions begin and end.
        opened: How many transactions somebody has asked for.
        lets: Transactions wait until it is set.
        most_rows: How many rows it takes in time.
        delay_seconds: How long each transaction takes at least.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=2)
        self.is_down = self.is_full = False
        self.opened = 0
        self.delay_seconds = 0.0
        self.most_rows = 1_000_000
        self.lets = asyncio.Event()
        self.lets.set()

    async def create(self) -> None:
        await self.open()
        async with super().begin() as connection:
            await connection.run_sync(metadata.create_all)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        await self._fail()
        async with super().begin() as connection:
            yield connection

    async def append(self, table: sa.Table, rows: Sequence[tuple]) -> None:
        await self._fail()
        if self.is_full:
            raise StorageUnavailableError(log_detail="database or disk is full")
        if len(rows) > self.most_rows:
            raise StorageUnavailableError(log_detail="not done in time")
        await super().append(table, rows)

    async def _fail(self) -> None:
        self.opened += 1
        await self.lets.wait()
        await asyncio.sleep(self.delay_seconds)
        if self.is_down:
            raise StorageUnavailableError(log_detail="taken away")

    async def rows(self) -> list[sa.Row]:
        async with self.read() as connection:
            return list(await connection.execute(sa.select(ledger)))

    async def ids(self) -> list[str]:
        return sorted(row.id for row in await self.rows())


async def until(is_true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "it has not come true"
        await asyncio.sleep(0.01)

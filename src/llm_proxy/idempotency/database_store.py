"""Claims and answers in the database, which all processes share."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency.releases import Releases
from llm_proxy.idempotency.store import (
    KEPT_SECONDS,
    LEASE_SECONDS,
    Claim,
    Earlier,
    SavedAnswer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection

    from llm_proxy.storage import Database

# More than one, so that what has expired grows fewer while new claims come.
_FORGET_PER_CLAIM = 4
_SQLITE_SECONDS = 5.0
# A silent server is let go of in two more.
_POSTGRES_SECONDS = 3.0
# How many write at a time.
_SQLITE_PLACES = 1
_POSTGRES_PLACES = 3


class DatabaseStore:
    """A `Store` in a table of SQLite or Postgres.

    However many requests have a key, few of them are at the database at a time: claims
    wait for each other, and so do answers, and nobody else has to wait for all of them.

    Args:
        database: Has the table.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time
    ) -> None:
        # SQLAlchemy takes long to import, and whoever has a database has done it.
        from sqlalchemy.dialects import postgresql, sqlite

        from llm_proxy.storage.tables import idempotency

        self._database = database
        self._clock = clock
        self._table = idempotency
        self._releases = Releases(database)
        places, self._seconds = (
            (_SQLITE_PLACES, _SQLITE_SECONDS)
            if database.is_sqlite
            else (_POSTGRES_PLACES, _POSTGRES_SECONDS)
        )
        self._claiming = asyncio.Semaphore(places)
        self._saving = asyncio.Semaphore(places)
        self._insert: Callable[[sa.Table], Any] = (
            sqlite.insert if database.is_sqlite else postgresql.insert
        )

    async def claim(self, key: str, request: str) -> Claim | Earlier:
        """Claim a key; see `Store.claim`."""
        claim = Claim(key)
        try:
            async with self._begin(self._claiming) as connection:
                taken = await connection.execute(self._take(claim, request))
                if taken.first() is not None:
                    await connection.execute(self._forget())
                    return claim
                return await self._find(connection, key, request)
        except (Exception, asyncio.CancelledError):
            # Nobody knows whether it was written.
            self.release(claim)
            raise

    async def renew(self, claim: Claim) -> bool:
        """Let a claim last; see `Store.renew`."""
        return await self._update(claim, expires_ms=self._in_ms(LEASE_SECONDS))

    async def save(self, claim: Claim, answer: SavedAnswer) -> bool:
        """Put an answer in the place of a claim; see `Store.save`."""
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in answer.headers
        ]
        return await self._update(
            claim,
            expires_ms=self._in_ms(KEPT_SECONDS),
            status=answer.status,
            headers=orjson.dumps(headers).decode(),
            body=answer.body,
        )

    def release(self, claim: Claim) -> None:
        """Give a claim up; see `Store.release`."""
        self._releases.add(claim)

    async def aclose(self) -> None:
        """Write which claims have been given up, before the database is closed."""
        await self._releases.aclose()

    @asynccontextmanager
    async def _begin(
        self, places: asyncio.Semaphore
    ) -> AsyncGenerator[AsyncConnection]:
        """Begin a transaction that writes, as soon as there is a place for it."""
        try:
            async with asyncio.timeout(self._seconds) as limit, places:
                if self._database.is_sqlite:
                    # It has a limit of its own, and one cut short may keep the lock.
                    limit.reschedule(None)
                async with self._database.begin() as connection:
                    yield connection
        except TimeoutError as error:
            detail = f"not done in {self._seconds:g} s"
            raise StorageUnavailableError(log_detail=detail) from error

    def _take(self, claim: Claim, request: str) -> sa.Insert:
        """Write a claim where there is none, or one that has expired or is given up."""
        columns = self._table.c
        is_expired = columns.expires_ms <= self._in_ms(0)
        is_given_up = columns.claim.in_(self._releases.of(claim.key))
        row = {
            "request": request,
            "claim": claim.id,
            "expires_ms": self._in_ms(LEASE_SECONDS),
            "status": None,
            "headers": None,
            "body": None,
        }
        statement: sa.Insert = (
            self._insert(self._table)
            .values(id=claim.key, **row)
            .on_conflict_do_update(
                index_elements=[columns.id],
                set_=row,
                where=is_expired | (is_given_up & columns.status.is_(None)),
            )
            .returning(columns.id)
        )
        return statement

    def _forget(self) -> sa.Delete:
        """Delete some of what has expired, and leave alone what others are at."""
        columns = self._table.c
        expired = (
            self._table.select()
            .with_only_columns(columns.id)
            .where(columns.expires_ms <= self._in_ms(0))
            .order_by(columns.expires_ms)
            .limit(_FORGET_PER_CLAIM)
            .with_for_update(skip_locked=True)
        )
        return self._table.delete().where(columns.id.in_(expired))

    async def _find(
        self, connection: AsyncConnection, key: str, request: str
    ) -> Earlier:
        select = self._table.select().where(self._table.c.id == key)
        row = (await connection.execute(select)).first()
        if row is None:
            # Postgres: it was given up since; whoever asks again finds it free.
            return Earlier(request, None)
        if row.status is None:
            return Earlier(row.request, None)
        headers = tuple(
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in orjson.loads(row.headers)
        )
        return Earlier(row.request, SavedAnswer(row.status, headers, row.body))

    async def _update(self, claim: Claim, **values: int | str | bytes) -> bool:
        statement = self._table.update().where(*self._is(claim)).values(**values)
        async with self._begin(self._saving) as connection:
            return (await connection.execute(statement)).rowcount == 1

    def _is(self, claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
        columns = self._table.c
        return (
            columns.id == claim.key,
            columns.claim == claim.id,
            columns.status.is_(None),
        )

    def _in_ms(self, seconds: float) -> int:
        return round((self._clock() + seconds) * 1000)

"""Claims and answers in the database, which all processes share."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency.groups import Groups
from llm_proxy.idempotency.releases import Releases
from llm_proxy.idempotency.store import (
    KEPT_SECONDS,
    LEASE_SECONDS,
    Claim,
    Earlier,
    SavedAnswer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from typing import Any

    from llm_proxy.storage import Database

# More than one, so that what has expired grows fewer while new claims come.
_FORGET_PER_CLAIM = 4
_WAIT_SECONDS = 5.0
# A few milliseconds of SQLite, for which other writers wait.
_MOST_CLAIMS = 200
_MOST_BYTES = 1024 * 1024
# Each may be as large as an answer is.
_MOST_ANSWERS = 20
# About what the rest of a row takes.
_ROW_BYTES = 1024
_SQLITE_PLACES = 1
_POSTGRES_PLACES = 3


class DatabaseStore:
    """A `Store` in a table of SQLite or Postgres.

    Claims that come while others are being written are one group, and so are answers:
    each group is one transaction.

    Args:
        database: Has the table.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time
    ) -> None:
        # SQLAlchemy takes long to import, and whoever has a database has done it.
        from llm_proxy.idempotency import statements

        self._database = database
        self._clock = clock
        self._sql = statements
        self._releases = Releases(database)
        self._taking, places = (
            (statements.TAKE_IN_SQLITE, _SQLITE_PLACES)
            if database.is_sqlite
            else (statements.TAKE_IN_POSTGRES, _POSTGRES_PLACES)
        )
        self._claims = Groups(
            self._take, places=places, most=_MOST_CLAIMS, unheard=self._leave
        )
        self._renewals = Groups(self._renew, places=1, most=_MOST_CLAIMS)
        self._answers = Groups(
            self._save, places=places, most=_MOST_BYTES, weigh=_weigh
        )
        self._earlier = Groups(self._find, places=2, most=_MOST_ANSWERS)

    async def claim(self, key: str, request: str) -> Claim | Earlier:
        """Claim a key; see `Store.claim`."""
        claim = Claim(key)
        async with _in_time():
            if await self._claims.ask((claim, request)):
                return claim
            # None: it was given up since; whoever asks again finds it free.
            return await self._earlier.ask(key) or Earlier(request, None)

    async def renew(self, claim: Claim) -> bool:
        """Let a claim last; see `Store.renew`."""
        async with _in_time():
            return await self._renewals.ask(claim)

    async def save(self, claim: Claim, answer: SavedAnswer) -> bool:
        """Put an answer in the place of a claim; see `Store.save`."""
        async with _in_time():
            return await self._answers.ask((claim, answer))

    def release(self, claim: Claim) -> None:
        """Give a claim up; see `Store.release`."""
        self._releases.add(claim)

    async def aclose(self) -> None:
        """Write which claims have been given up, before the database is closed."""
        groups = (self._claims, self._renewals, self._answers, self._earlier)
        await asyncio.gather(*(each.aclose() for each in groups))
        await self._releases.aclose()

    def _leave(self, asked: tuple[Claim, str]) -> None:
        self.release(asked[0])

    async def _take(self, asked: Sequence[tuple[Claim, str]]) -> list[bool]:
        """Write claims; of several to one key the first."""
        first: dict[str, dict[str, Any]] = {}
        for claim, request in asked:
            first.setdefault(claim.key, self._row(claim, request))
        given_up = [claim for key in first for claim in self._releases.of(key)]
        sql = self._sql
        async with self._database.begin() as connection:
            if given_up:
                await connection.execute(sql.GIVE_UP, sql.named(given_up))
            rows = [first[key] for key in sorted(first)]
            taken = set(await connection.scalars(self._taking, rows))
            if taken:
                most = _FORGET_PER_CLAIM * len(taken)
                expired = {"now_ms": self._in_ms(0), "most": most}
                await connection.execute(sql.FORGET, expired)
        return [claim.id in taken for claim, _ in asked]

    async def _renew(self, claims: Sequence[Claim]) -> list[bool]:
        renewed = {"expires": self._in_ms(LEASE_SECONDS), **self._sql.named(claims)}
        async with self._database.begin() as connection:
            standing = set(await connection.scalars(self._sql.RENEW, renewed))
        return [claim.id in standing for claim in claims]

    async def _save(self, answers: Sequence[tuple[Claim, SavedAnswer]]) -> list[bool]:
        sql = self._sql
        claims = sql.named([claim for claim, _ in answers])
        expires_ms = self._in_ms(KEPT_SECONDS)
        async with self._database.begin() as connection:
            standing = set(await connection.scalars(sql.FIND_STANDING, claims))
            rows = [
                {"key": claim.key, "expires": expires_ms, **_written(answer)}
                for claim, answer in answers
                if claim.id in standing
            ]
            if rows:
                await connection.execute(sql.SAVE, rows)
        return [claim.id in standing for claim, _ in answers]

    async def _find(self, keys: Sequence[str]) -> list[Earlier | None]:
        asked = {"keys": list(set(keys))}
        async with self._database.read() as connection:
            rows = await connection.execute(self._sql.FIND, asked)
            found = {key: _earlier(*row) for key, *row in rows}
        return [found.get(key) for key in keys]

    def _row(self, claim: Claim, request: str) -> dict[str, Any]:
        return {
            "id": claim.key,
            "request": request,
            "claim": claim.id,
            "expires_ms": self._in_ms(LEASE_SECONDS),
            "status": None,
            "headers": None,
            "body": None,
        }

    def _in_ms(self, seconds: float) -> int:
        return round((self._clock() + seconds) * 1000)


@asynccontextmanager
async def _in_time() -> AsyncGenerator[None]:
    """Bound how long a caller waits, for a group and with it."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            yield
    except TimeoutError as error:
        detail = f"not done in {_WAIT_SECONDS:g} s"
        raise StorageUnavailableError(log_detail=detail) from error


def _weigh(saved: tuple[Claim, SavedAnswer]) -> int:
    return _ROW_BYTES + len(saved[1].body)


def _written(answer: SavedAnswer) -> dict[str, int | str | bytes]:
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in answer.headers
    ]
    return {
        "status": answer.status,
        "headers": orjson.dumps(headers).decode(),
        "body": answer.body,
    }


def _earlier(
    request: str, status: int | None, headers: str | None, body: bytes | None
) -> Earlier:
    if status is None or headers is None or body is None:
        return Earlier(request, None)
    pairs = tuple(
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in orjson.loads(headers)
    )
    return Earlier(request, SavedAnswer(status, pairs, body))

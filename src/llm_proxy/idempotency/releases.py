"""Gives claims up in the background, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency.store import LEASE_SECONDS, Claim
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llm_proxy.storage import Database

_log = get_logger(__name__)

# A few milliseconds of SQLite, for which other writers wait.
_MAX_BATCH = 200
_MAX_WAITING = 10_000
_PAUSE_SECONDS = 0.5
_CLOSE_SECONDS = 2.0


class Releases:
    """Claims that have been given up, until the database has heard of it.

    They are written in groups, one after the other. While the database is away they
    wait, though not longer than until their claims have expired by themselves; if there
    are too many, the oldest are left to that.

    Args:
        database: Has the claims.
    """

    def __init__(self, database: Database) -> None:
        # Brings SQLAlchemy with it.
        from llm_proxy.idempotency import statements

        self._database = database
        self._sql = statements
        # With the moment from which on there is nothing left to do.
        self._waiting: dict[Claim, float] = {}
        self._by_key: dict[str, set[Claim]] = {}
        self._writing: asyncio.Task[None] | None = None

    def add(self, claim: Claim) -> None:
        """Give a claim up; returns at once.

        Args:
            claim: Whose request is over.
        """
        if claim in self._waiting:
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._leave(list(islice(self._waiting, _MAX_BATCH)), "too many")
        self._waiting[claim] = time.monotonic() + LEASE_SECONDS
        self._by_key.setdefault(claim.key, set()).add(claim)
        if self._writing is None or self._writing.done():
            # In a context of its own: its log lines are not those of a request.
            self._writing = asyncio.get_running_loop().create_task(
                self._keep_writing(), context=Context()
            )

    def of(self, key: str) -> Iterable[Claim]:
        """Say which claims to a key count no more, whatever the database says.

        Args:
            key: As in `Claim`.

        Returns:
            The claims.
        """
        return self._by_key.get(key, ())

    async def aclose(self) -> None:
        """Write what waits, if the database takes it."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=_CLOSE_SECONDS)
            self._writing.cancel()
            await asyncio.wait([self._writing])

    async def _keep_writing(self) -> None:
        """Write until nothing waits."""
        while self._waiting:
            self._leave(self._late(), "too late")
            batch = list(islice(self._waiting, _MAX_BATCH))
            try:
                await self._write(batch)
            except StorageUnavailableError:
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - others wait behind them
                self._leave(batch, repr(error))
            else:
                self._drop(batch)

    def _late(self) -> Sequence[Claim]:
        now = time.monotonic()
        return list(takewhile(lambda claim: self._waiting[claim] <= now, self._waiting))

    async def _write(self, batch: Collection[Claim]) -> None:
        async with self._database.begin() as connection:
            await connection.execute(self._sql.GIVE_UP, self._sql.named(batch))

    def _leave(self, claims: Iterable[Claim], reason: str) -> None:
        """Leave claims to expire by themselves."""
        count = self._drop(claims)
        if count:
            _log.error("idempotency_not_released", count=count, detail=reason)

    def _drop(self, claims: Iterable[Claim]) -> int:
        count = 0
        for claim in claims:
            count += self._waiting.pop(claim, None) is not None
            claims_to_key = self._by_key.get(claim.key, set())
            claims_to_key.discard(claim)
            if not claims_to_key:
                self._by_key.pop(claim.key, None)
        return count

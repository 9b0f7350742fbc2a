"""Remembers in the database what is set aside, for when its process dies."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from llm_proxy.telemetry import get_logger
from llm_proxy.types.stored_text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from llm_proxy.storage.database import Database
    from llm_proxy.types import Principal

_log = get_logger(__name__)

# Processes whose clocks differ by seconds still agree on who is dead.
_LEASE_MS = 60_000
_RENEW_SECONDS = 20.0
_RECOVER_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 5.0
# So many calls a process never has. It is reached if the database is away for long,
# and calls beyond it would have no row.
_MAX_HELD = 20_000
# Of the columns: a BIGINT, and characters.
_MAX_NANOS = 2**63 - 1
_NAME_LENGTH = 255
_MODEL_LENGTH = 512


@dataclass(frozen=True, slots=True)
class _Held:
    """What is set aside for a call, and since when, by both clocks."""

    since: float
    at_ms: int
    principal: Principal
    asked_model: str
    nanos: int


class Reservations:
    """Writes down the money of calls that last, and finds what dead processes had.

    Nobody waits for it: rows are written, renewed and removed in the background, and
    most calls are over before they would have one. While the database is away, calls
    go on and it is tried again and again.

    Args:
        database: Where the rows belong.
        process: Names this process; no two ever have the same name.
        write_seconds: How old a call is when it gets a row, and how often is looked.

    Attributes:
        process: The name.
    """

    def __init__(
        self, database: Database, process: str, *, write_seconds: float = 0.1
    ) -> None:
        self._database = database
        self.process = process
        self._write_seconds = write_seconds
        # Each reservation is in one of these: of the young the database has not heard,
        # and of the unsure nobody knows whether it has.
        self._young: dict[str, _Held] = {}
        self._unsure: dict[str, _Held] = {}
        self._written: set[str] = set()
        self._released: set[str] = set()
        self._is_full = False
        self._is_away = False
        self._is_alone = False
        self._renew_at = self._recover_at = time.monotonic()
        self._work: asyncio.Task[None] | None = None

    async def open(self, *, alone: bool) -> None:
        """Find what earlier processes have left, and begin to write.

        If the database does not answer, it is found later.

        Args:
            alone: Whether no other process uses the database, so that all rows in it
                are left over.
        """
        self._is_alone = alone
        await self._do()
        # In a context of its own: its log lines are nobody's request's.
        loop = asyncio.get_running_loop()
        self._work = loop.create_task(self._keep_doing(), context=Context())

    def hold(self, id: str, principal: Principal, asked_model: str, nanos: int) -> None:
        """Remember what is set aside for a call that begins.

        Args:
            id: Names the reservation; unique, at most 36 characters.
            principal: Who asks.
            asked_model: The model that is asked for.
            nanos: Billionths of a US dollar.
        """
        others = len(self._unsure) + len(self._written) + len(self._released)
        is_full = len(self._young) + others >= _MAX_HELD
        if is_full and not self._is_full:
            _log.error("reservations_full", most=_MAX_HELD)
        self._is_full = is_full
        if not is_full:
            self._young[id] = _Held(
                time.monotonic(), _now_ms(), principal, asked_model, nanos
            )

    def release(self, id: str) -> None:
        """Forget what was set aside: the ledger has the truth, or there was nothing.

        Args:
            id: The reservation; releasing it again changes nothing.
        """
        if self._young.pop(id, None) is not None:
            return
        if self._unsure.pop(id, None) is not None or id in self._written:
            self._written.discard(id)
            self._released.add(id)

    async def recover(self, *, alone: bool) -> int:
        """Mark as lost what other processes have left open, so that budgets count it.

        A process that was taken for dead and is not takes its rows back.

        Args:
            alone: Whether all other processes are dead, and not only those that have
                not renewed their rows in time.

        Returns:
            How many reservations were lost.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        import sqlalchemy as sa

        from llm_proxy.storage.tables import reservations

        row = reservations.c
        statement = (
            sa.update(reservations)
            .values(state="lost")
            .where(row.state == "open", row.process != self.process)
            .returning(row.nanos)
        )
        if not alone:
            statement = statement.where(row.expires_ms < _now_ms())
        async with self._database.begin() as connection:
            lost = (await connection.scalars(statement)).all()
        if lost:
            _log.warning("reservations_lost", count=len(lost), nanos=sum(lost))
        return len(lost)

    async def aclose(self) -> None:
        """Write what waits; calls that are still not over will be found as lost."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = None
            await self._do(last=True)

    async def _keep_doing(self) -> None:
        pause_seconds = self._write_seconds
        while True:
            await asyncio.sleep(pause_seconds)
            await self._do()
            pause_seconds = (
                min(pause_seconds * 2, _MAX_PAUSE_SECONDS)
                if self._is_away
                else self._write_seconds
            )

    async def _do(self, *, last: bool = False) -> None:
        """Do what is due; what the database does not do stays due."""
        try:
            if time.monotonic() >= self._recover_at and not last:
                await self.recover(alone=self._is_alone)
                self._is_alone = False
                self._recover_at = time.monotonic() + _RECOVER_SECONDS
            await self._write(self._write_seconds if not last else 0)
        except Exception as error:  # noqa: BLE001 - calls go on without it
            if not self._is_away:
                # Not its text, which may hold a row.
                detail = getattr(error, "log_detail", "")
                reason = type(error).__name__
                _log.warning("reservations_unwritten", reason=reason, detail=detail)
            self._is_away = True
        else:
            self._is_away = False

    async def _write(self, age_seconds: float) -> None:
        """Write down calls of some age and remove those that are over."""
        now = time.monotonic()
        young = self._young.items()
        due = dict(takewhile(lambda it: it[1].since <= now - age_seconds, young))
        for id in due:
            del self._young[id]
        self._unsure |= due
        unsure, released = dict(self._unsure), tuple(self._released)
        if not self._written:
            self._renew_at = now + _RENEW_SECONDS
        is_renewing = now >= self._renew_at
        if not (unsure or released or is_renewing):
            return
        async with self._database.begin() as connection:
            if released:
                await _delete(connection, released)
            if is_renewing:
                await self._renew(connection)
            if unsure:
                await self._insert(connection, unsure)
        self._released.difference_update(released)
        # Those that were released in the meantime are no longer unsure.
        self._written.update(unsure.keys() & self._unsure.keys())
        self._unsure.clear()
        if is_renewing:
            self._renew_at = now + _RENEW_SECONDS

    async def _insert(
        self, connection: AsyncConnection, held: Mapping[str, _Held]
    ) -> None:
        """Add rows, except those that are there already."""
        from sqlalchemy.dialects import postgresql, sqlite

        from llm_proxy.storage.tables import reservations

        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        rows = [self._row(id, each) for id, each in held.items()]
        await connection.execute(insert(reservations).on_conflict_do_nothing(), rows)

    async def _renew(self, connection: AsyncConnection) -> None:
        import sqlalchemy as sa

        from llm_proxy.storage.tables import reservations

        await connection.execute(
            sa.update(reservations)
            .values(expires_ms=_now_ms() + _LEASE_MS, state="open")
            .where(reservations.c.process == self.process)
        )

    def _row(self, id: str, held: _Held) -> dict[str, str | int]:
        principal = held.principal
        return {
            "id": id,
            "process": self.process,
            "at_ms": held.at_ms,
            "expires_ms": _now_ms() + _LEASE_MS,
            "state": "open",
            "principal": storable(principal.name, _NAME_LENGTH),
            "organisation": storable(principal.organisation, _NAME_LENGTH),
            "team": storable(principal.team, _NAME_LENGTH),
            "owner": storable(principal.user, _NAME_LENGTH),
            "asked_model": storable(held.asked_model, _MODEL_LENGTH),
            "nanos": min(held.nanos, _MAX_NANOS),
        }


async def _delete(connection: AsyncConnection, ids: Collection[str]) -> None:
    import sqlalchemy as sa

    from llm_proxy.storage.tables import reservations

    one = sa.delete(reservations).where(reservations.c.id == sa.bindparam("gone"))
    await connection.execute(one, [{"gone": id} for id in ids])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""Counts for all limits in Redis, for several processes, exactly."""

from __future__ import annotations

import asyncio
import uuid
from contextvars import Context
from itertools import islice
from typing import TYPE_CHECKING, Any

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.scripts import (
    PROCESSES,
    Owner,
    Settlement,
    living,
    load,
    renewal,
    reservation,
    settlements,
    verdict,
)
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from llm_proxy.limits.claim import Claim, Verdict
    from llm_proxy.limits.scripts import Call
    from llm_proxy.storage.redis import Redis, Script

_log = get_logger(__name__)

# Some milliseconds of Redis, for which everybody waits.
_MAX_BATCH = 200
_MAX_WAITING = 10_000
_PAUSE_SECONDS = 1.0
_CLOSE_SECONDS = 2.0


class SharedCounters:
    """Counts what the calls of all processes take, by the clock of Redis.

    What a call takes is a lease of its process, which renews all of its leases from
    time to time. If a process dies, its places are free when their leases expire, and
    the money that it had set aside counts as spent.

    Settlements are written in batches by one task. While Redis is away they wait; if
    there are too many, the oldest are given up, and what they had set aside counts as
    spent. Writing one again changes nothing.

    If Redis loses its data, windows and places start empty, counters of money are
    unknown again, and each process tells what it has set aside before it takes more.

    Args:
        redis: Shared by all processes.
        lease_seconds: How long leases live without a sign of their process.

    Attributes:
        processes: How many there are, by the latest answer of Redis; at least 1.
    """

    def __init__(self, redis: Redis, *, lease_seconds: float = 60.0) -> None:
        self.processes = 1
        self._redis = redis
        self._owner = Owner(str(uuid.uuid4()), lease_seconds)
        self._reserve = load("reserve")
        self._settle = load("settle")
        self._renew = load("renew")
        self._open: dict[str, Sequence[Claim]] = {}
        self._waiting: dict[str, Settlement] = {}
        # Settlements and renewals of one lease must not overtake each other.
        self._turn = asyncio.Lock()
        self._renewals = 0
        self._lost = 0
        self._renewing: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Begin to tell Redis that this process lives, whether it listens or not."""
        try:
            await self._tell()
        except StorageUnavailableError as error:
            _log.warning("limits_not_shared", reason=error.log_detail)
        self._renewing = _start(self._keep_telling())

    async def aclose(self) -> None:
        """Write what waits, if Redis takes it, and say good-bye."""
        self._is_closed = True
        for task in (self._renewing, self._settling):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._write()
                await self._redis.execute("ZREM", PROCESSES, self._owner.name)
        except (StorageUnavailableError, TimeoutError):
            self._lost += len(self._waiting)
            self._admit_loss()

    async def reserve(
        self, lease: str, claims: Sequence[Claim], spent: Mapping[str, int]
    ) -> Verdict:
        """Set aside everything that a call needs, or nothing.

        Args:
            lease: Names the reservation; unique.
            claims: What the call needs, each of another counter.
            spent: Where counters of money start that do not exist yet, in billionths
                of a dollar, by `Claim.counter`.

        Returns:
            How the limits stand.

        Raises:
            StorageUnavailableError: Redis does not answer.
        """
        call = reservation(self._owner, lease, claims, spent)
        is_sent = not self._redis.is_away
        try:
            found = await self._try(call, claims)
        except BaseException:
            if is_sent:
                # Nobody knows whether it was taken.
                self._queue(lease, Settlement(claims, 0, 0))
            raise
        if found.standings and all(each.granted for each in found.standings):
            self._open[lease] = claims
        return found

    def settle(
        self, lease: str, claims: Sequence[Claim], tokens: int, nanos: int
    ) -> None:
        """Put the truth in place of what was set aside; returns at once.

        Args:
            lease: The reservation; settling it again changes nothing.
            claims: Those of the reservation.
            tokens: What the call has used; 0 if nobody was asked.
            nanos: What it has cost.
        """
        if self._open.pop(lease, None) is not None:
            self._queue(lease, Settlement(claims, tokens, nanos))

    async def _try(self, call: Call, claims: Sequence[Claim]) -> Verdict:
        renewals = self._renewals
        found = await self._ask(call, claims)
        if found is None:
            await self._tell(renewals)
            found = await self._ask(call, claims)
        if found is None:
            raise StorageUnavailableError(log_detail="redis forgets its processes")
        return found

    async def _ask(self, call: Call, claims: Sequence[Claim]) -> Verdict | None:
        answer = await self._run(self._reserve, call)
        self.processes = living(answer) or self.processes
        return verdict(answer, claims)

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(self._owner.lease_seconds / 3)
            try:
                await self._tell()
            except StorageUnavailableError:
                # Said by Redis' own log lines.
                pass
            except Exception as error:  # noqa: BLE001 - leases must not expire for it
                _log.error("leases_not_renewed", reason=repr(error))

    async def _tell(self, renewals: int | None = None) -> None:
        """Say that this process lives, unless it was said since some renewal."""
        async with self._turn:
            if renewals not in (None, self._renewals):
                return
            leases = [*self._open.items()]
            for start in range(0, max(len(leases), 1), _MAX_BATCH):
                batch = dict(leases[start : start + _MAX_BATCH])
                self.processes = await self._run(
                    self._renew, renewal(self._owner, batch)
                )
            self._renewals += 1

    def _queue(self, lease: str, settlement: Settlement) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._lost += 1
        self._waiting[lease] = settlement
        is_settling = self._settling is not None and not self._settling.done()
        if not is_settling and not self._is_closed:
            self._settling = _start(self._keep_writing())

    async def _keep_writing(self) -> None:
        """Write until nothing waits."""
        while self._waiting:
            try:
                await self._write()
            except StorageUnavailableError:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _write(self) -> None:
        while self._waiting:
            async with self._turn:
                batch = dict(islice(self._waiting.items(), _MAX_BATCH))
                await self._write_batch(batch)
            for lease in batch:
                self._waiting.pop(lease, None)
            self._admit_loss()

    async def _write_batch(self, batch: Mapping[str, Settlement]) -> None:
        """Settle leases, and keep no lease from it for the sake of another."""
        from llm_proxy.storage.redis_driver import RefusedCommandError

        try:
            self._lost += await self._run(self._settle, settlements(batch))
        except RefusedCommandError:
            if len(batch) == 1:
                self._lost += 1
                return
            for lease, settlement in batch.items():
                await self._write_batch({lease: settlement})

    def _admit_loss(self) -> None:
        if self._lost:
            _log.error("settlements_lost", count=self._lost)
            self._lost = 0

    async def _run(self, script: Script, call: Call) -> Any:  # noqa: ANN401 - as Redis
        return await self._redis.run(script, call.keys, call.arguments)


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    # In a context of its own: its log lines are not those of the request that came
    # first.
    return asyncio.get_running_loop().create_task(work, context=Context())

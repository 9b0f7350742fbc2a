"""Counts for all limits in Redis, for several processes, exactly."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from contextvars import Context
from itertools import islice
from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.redis_clock import RedisClock
from llm_proxy.limits.replies import count_spoilt, read, verdict
from llm_proxy.limits.scripts import (
    PROCESSES,
    Owner,
    Settlement,
    load,
    renewal,
    reservation,
    settlements,
)
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from llm_proxy.limits.claim import Claim, Verdict
    from llm_proxy.limits.replies import Reply
    from llm_proxy.limits.scripts import Call
    from llm_proxy.storage.redis import Redis, Script

_log = get_logger(__name__)

# Some milliseconds of Redis, for which everybody waits.
_MAX_BATCH = 200
_MAX_WAITING = 10_000
# The first time teaches the clock of Redis, the second is in time.
_MOST_TRIES = 3
_PAUSE_SECONDS = 1.0
_CLOSE_SECONDS = 2.0


async def _nobody() -> Sequence[str]:
    return ()


class SharedCounters:
    """Counts what the calls of all processes take, by the clock of Redis.

    What a call takes is a lease of its process, which renews all of its leases from
    time to time. If a process dies, its places are free when their leases expire, and
    the money that it had set aside counts as spent.

    What Redis reads only after its process has given it up takes nothing.

    Settlements are written in batches by one task. While Redis is away they wait; if
    there are too many, the oldest are given up, and what they had set aside counts as
    spent. Once it is back they come first: nobody is refused for the sake of calls that
    are over. Writing one again changes nothing.

    If Redis loses its data, windows and places start empty, and counters of money are
    unknown again. Each process tells what it has set aside before it takes more, and
    none takes money before all have told, or their leases would have expired. All are
    those whom Redis has named last, and those whom `others` finds.

    Args:
        redis: Shared by all processes.
        name: Names this process; no two ever have the same name. Default: a new one.
        others: Finds who has set money aside, by name, this process perhaps among
            them; it never fails.
        lease_seconds: How long leases live without a sign of their process.

    Attributes:
        processes: How many there are, by the latest answer of Redis; at least 1.
    """

    def __init__(
        self,
        redis: Redis,
        name: str | None = None,
        *,
        others: Callable[[], Awaitable[Sequence[str]]] = _nobody,
        lease_seconds: float = 60.0,
    ) -> None:
        self.processes = 1
        self._redis = redis
        self._owner = Owner(name or str(uuid.uuid4()), lease_seconds)
        self._others = others
        self._known: Sequence[bytes] = ()
        self._clock = RedisClock()
        self._reserve = load("reserve")
        self._settle = load("settle")
        self._renew = load("renew")
        self._open: dict[str, Sequence[Claim]] = {}
        self._waiting: dict[str, Settlement] = {}
        # Settlements and renewals of one lease must not overtake each other.
        self._turn = asyncio.Lock()
        self._renewals = 0
        # Whether Redis has taken the latest settlements.
        self._is_heard = asyncio.Event()
        self._is_heard.set()
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
                # Whom Redis knows is not awaited, though the database may know it, too.
                ended = self._clock.deadline(-1.0)
                name = self._owner.name
                await self._redis.execute("ZADD", PROCESSES, "XX", ended, name)
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
        is_sent = not self._redis.is_away
        if is_sent and not self._is_heard.is_set():
            await self._write()
        call = reservation(self._owner, lease, claims, spent)
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
        return verdict(await self._run_in_time(self._reserve, call), claims)

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
            known: list[str | bytes] = [*self._known, *await self._others()]
            leases = [*self._open.items()]
            while leases:
                batch, leases = dict(leases[:_MAX_BATCH]), leases[_MAX_BATCH:]
                await self._run_in_time(self._renew, renewal(self._owner, batch, None))
            call = renewal(self._owner, {}, known)
            self._known = (await self._run_in_time(self._renew, call)).names
            self._renewals += 1

    async def _run_in_time(self, script: Script, call: Call) -> Reply:
        """Run a script that does nothing once nobody waits for it."""
        asked_at = 0.0

        def arguments() -> Sequence[str | bytes | int]:
            nonlocal asked_at
            asked_at = self._clock.now()
            return (self._clock.deadline(self._redis.timeout_seconds), *call.arguments)

        for _ in range(_MOST_TRIES):
            reply = read(await self._redis.run(script, call.keys, arguments))
            self._clock.learn(asked_at, reply.now)
            if not reply.is_late:
                self.processes = reply.processes or self.processes
                return reply
        raise StorageUnavailableError(log_detail="redis hears everything too late")

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
                self._is_heard.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE_SECONDS):
                        await self._is_heard.wait()

    async def _write(self) -> None:
        while self._waiting:
            await self._write_some()
        self._is_heard.set()
        self._admit_loss()

    async def _write_some(self) -> None:
        async with self._turn:
            batch = dict(islice(self._waiting.items(), _MAX_BATCH))
            if batch:
                await self._write_batch(batch)
            for lease in batch:
                self._waiting.pop(lease, None)

    async def _write_batch(self, batch: Mapping[str, Settlement]) -> None:
        """Settle leases, and keep no lease from it for the sake of another."""
        from llm_proxy.storage.redis_driver import RefusedCommandError

        try:
            call = settlements(batch)
            said = await self._redis.run(self._settle, call.keys, call.arguments)
            self._lost += count_spoilt(said)
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


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    # In a context of its own: its log lines are not those of the request that came
    # first.
    return asyncio.get_running_loop().create_task(work, context=Context())

"""Writes the ledger: in groups, and to the local disk while the database is away."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, TypeVar

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger.replay import MAX_GROUP_ROWS, Replay
from llm_proxy.ledger.rows import Row, Rows
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from llm_proxy.ledger.entry import Entry
    from llm_proxy.ledger.spool import Spool
    from llm_proxy.storage.database import Database

_log = get_logger(__name__)
_T = TypeVar("_T")

# Some seconds of a busy process: as long as a database that hangs is waited for.
_MAX_WAITING_ROWS = 20_000
_MAX_PAUSE_SECONDS = 10.0


class Ledger:
    """Makes entries durable, many in one transaction, without making one wait.

    While a group is being written the next one gathers; a group is written as soon as
    the one before is. What the database does not take goes to the spool, and from there
    to the database when it is back. Writing a row again changes nothing, so a replay
    that is cut short is begun again. Rows that the spool does not take either stay in
    memory until one of the two does; their callers are refused.

    Args:
        database: Where the rows belong.
        spool: Where they are in the meantime.
        write_seconds: How long rows wait for the database, before and in their group,
            and all of them when the ledger is closed.
        pause_seconds: How long to wait before the database is tried again; the pause
            grows up to ten seconds.
    """

    def __init__(
        self,
        database: Database,
        spool: Spool,
        *,
        write_seconds: float = 5.0,
        pause_seconds: float = 1.0,
    ) -> None:
        self._database = database
        self._spool = spool
        self._write_seconds = write_seconds
        self._pause_seconds = pause_seconds
        self._rows = Rows()
        # With the moment since when.
        self._waiting: deque[tuple[Row, asyncio.Future[None], float]] = deque()
        # Of callers who have been refused.
        self._unplaced: list[Row] = []
        self._writing: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        # One thread of its own: name look-ups can fill those that all share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-spool")
        self._give_up_at = inf
        self._is_spooling = False
        self._is_closed = False

    @property
    def is_full(self) -> bool:
        """Whether neither the database nor the spool takes rows."""
        return bool(self._unplaced) or len(self._waiting) >= _MAX_WAITING_ROWS

    async def open(self) -> None:
        """Begin to replay what earlier processes have left.

        Raises:
            StorageUnavailableError: The spool's folder cannot be used.
        """
        await self._in_thread(self._spool.adopt)
        if self._spool.size:
            self._start_recovery(pause_seconds=0)

    def add(self, entry: Entry) -> asyncio.Future[None]:
        """Take an entry, which will be written whatever becomes of the caller.

        Args:
            entry: One attempt.

        Returns:
            Is done once the row is durable. It raises `StorageUnavailableError` if
            neither the database nor the spool takes the row.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if self._is_closed or len(self._waiting) >= _MAX_WAITING_ROWS:
            reason = "the ledger is closed or too many rows wait"
            _report_lost(1, reason)
            _refuse([done], reason)
            return done
        self._waiting.append((self._rows.row(entry), done, loop.time()))
        if self._writing is None or self._writing.done():
            self._writing = _start(self._write())
        return done

    async def aclose(self) -> None:
        """Write what waits: in time to the database, and the rest to the spool."""
        if self._is_closed:
            return
        self._is_closed = True
        self._give_up_at = asyncio.get_running_loop().time() + self._write_seconds
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._place_last()
        await self._in_thread(self._spool.close)
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        """Write group after group, until nothing waits."""
        while self._waiting:
            size = min(len(self._waiting), MAX_GROUP_ROWS)
            group = [self._waiting.popleft() for _ in range(size)]
            rows = [row for row, _, _ in group]
            futures = [done for _, done, _ in group]
            *_, since = group[0]
            try:
                await self._keep(rows, since + self._write_seconds)
            except StorageUnavailableError as error:
                self._hold(rows, error.log_detail)
                _refuse(futures, error.log_detail)
            except Exception as error:  # noqa: BLE001 - callers wait for an answer
                _report_lost(len(rows), type(error).__name__)
                _refuse(futures, type(error).__name__)
            else:
                for done in futures:
                    # Whoever no longer waits has cancelled it.
                    if not done.done():
                        done.set_result(None)

    async def _keep(self, rows: Sequence[Row], until: float) -> None:
        """Make rows durable, in the database or else in the spool."""
        if not self._is_spooling:
            try:
                await self._insert(rows, until)
            except Exception as error:  # noqa: BLE001 - whatever it is, rows are kept
                self._is_spooling = True
                _log.warning("ledger_spooling", **_reason(error))
            else:
                return
        try:
            await self._put_in_spool(rows)
        finally:
            self._start_recovery(self._pause_seconds)

    async def _put_in_spool(self, rows: Sequence[Row]) -> None:
        records = list(self._rows.records(rows))
        await self._in_thread(self._spool.append, records)

    def _hold(self, rows: Sequence[Row], reason: str) -> None:
        """Keep rows in memory that have no other place."""
        if len(self._unplaced) >= _MAX_WAITING_ROWS:
            _report_lost(len(rows), reason)
            return
        if not self._unplaced:
            _log.error("ledger_full", reason=reason)
        self._unplaced += rows

    async def _place(self) -> None:
        """Put rows into the spool that are only in memory."""
        while rows := self._unplaced[:MAX_GROUP_ROWS]:
            await self._put_in_spool(rows)
            del self._unplaced[: len(rows)]

    async def _bring(self, replay: Replay) -> None:
        """Write rows to the database that are only in memory."""
        while rows := self._unplaced[: replay.group_rows]:
            await replay.insert(rows)
            del self._unplaced[: len(rows)]

    async def _place_last(self) -> None:
        try:
            with suppress(StorageUnavailableError):
                await self._place()
            await self._bring(self._new_replay())
        except Exception as error:  # noqa: BLE001 - nobody can wait any longer
            _report_lost(len(self._unplaced), **_reason(error))

    def _new_replay(self) -> Replay:
        return Replay(self._spool, self._rows, self._insert_again, self._in_thread)

    async def _insert(self, rows: Sequence[Row], until: float = inf) -> None:
        async with self._in_time(until):
            await self._database.append(self._rows.table, rows)

    async def _insert_again(self, rows: Sequence[Row]) -> None:
        await self._insert(rows)
        self._is_spooling = False

    async def _ask(self) -> None:
        """Find out whether the database lets anybody write."""
        async with self._in_time(), self._database.begin():
            pass

    def _in_time(self, until: float = inf) -> asyncio.Timeout:
        now = asyncio.get_running_loop().time()
        end = min(now + self._write_seconds, self._give_up_at, until)
        return asyncio.timeout_at(end)

    def _start_recovery(self, pause_seconds: float) -> None:
        is_running = self._recovery is not None and not self._recovery.done()
        if not is_running and not self._is_closed:
            self._recovery = _start(self._recover(pause_seconds))

    async def _recover(self, pause_seconds: float) -> None:
        """Try the database until it has taken all that is in the spool."""
        replay = self._new_replay()
        is_done = False
        while not is_done:
            await asyncio.sleep(pause_seconds)
            try:
                with suppress(StorageUnavailableError):
                    await self._place()
                await self._ask()
                count = await replay.run()
                await self._bring(replay)
            except (StorageUnavailableError, TimeoutError):
                longer = max(pause_seconds * 2, self._pause_seconds)
                pause_seconds = min(longer, _MAX_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the rows wait for the next time
                _log.error("ledger_replay_failed", **_reason(error))
                pause_seconds = _MAX_PAUSE_SECONDS
            else:
                self._is_spooling = False
                if count:
                    _log.info("ledger_replayed", rows=count)
                is_done = not (self._unplaced or self._spool.size)
                pause_seconds = self._pause_seconds

    async def _in_thread(self, act: Callable[..., _T], *values: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, act, *values)


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    # In a context of its own: its log lines are not those of the request that came
    # first.
    return asyncio.get_running_loop().create_task(work, context=Context())


def _report_lost(rows: int, reason: str, detail: str = "") -> None:
    _log.error("ledger_rows_lost", rows=rows, reason=reason, detail=detail)


def _refuse(futures: Sequence[asyncio.Future[None]], reason: str) -> None:
    for done in futures:
        if not done.done():
            done.set_exception(StorageUnavailableError(log_detail=reason))
            # Read once, so that nobody complains if the caller does not.
            done.exception()


def _reason(error: Exception) -> dict[str, str]:
    """Describe an error without its text, which may hold a row."""
    return {
        "reason": type(error).__name__,
        "detail": getattr(error, "log_detail", ""),
    }

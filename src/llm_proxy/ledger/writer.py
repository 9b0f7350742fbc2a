"""Writes the ledger: in groups, and to the local disk while the database is away."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, TypeVar

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger.rows import Row, Rows
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from llm_proxy.ledger.entry import Entry
    from llm_proxy.ledger.segment import Segment
    from llm_proxy.ledger.spool import Spool
    from llm_proxy.storage.database import Database

_log = get_logger(__name__)
_T = TypeVar("_T")

_MAX_GROUP_ROWS = 500
# Some seconds of a busy process: as long as a database that hangs is waited for.
_MAX_WAITING_ROWS = 20_000
_MAX_PAUSE_SECONDS = 10.0


class Ledger:
    """Makes entries durable, many in one transaction, without making one wait.

    While a group is being written the next one gathers; a group is written as soon as
    the one before is. What the database does not take goes to the spool, and from there
    to the database when it is back. Writing a row again changes nothing, so a replay
    that is cut short is begun again.

    Args:
        database: Where the rows belong.
        spool: Where they are in the meantime.
        write_seconds: How long the database may take for a group, and for all that
            waits when the ledger is closed.
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
        self._waiting: deque[tuple[Row, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        # One thread of its own: name look-ups can fill those that all share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-spool")
        self._give_up_at = inf
        self._is_spooling = False
        self._is_refusing = False
        self._is_closed = False

    @property
    def is_full(self) -> bool:
        """Whether neither the database nor the spool takes rows."""
        return self._is_refusing or len(self._waiting) >= _MAX_WAITING_ROWS

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
        done = asyncio.get_running_loop().create_future()
        if self._is_closed or len(self._waiting) >= _MAX_WAITING_ROWS:
            _refuse([done], "the ledger is closed or too many rows wait")
            return done
        self._waiting.append((self._rows.row(entry), done))
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
        await self._in_thread(self._spool.close)
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        """Write group after group, until nothing waits."""
        while self._waiting:
            size = min(len(self._waiting), _MAX_GROUP_ROWS)
            group = [self._waiting.popleft() for _ in range(size)]
            futures = [done for _, done in group]
            try:
                await self._keep([row for row, _ in group])
            except StorageUnavailableError as error:
                self._is_refusing = True
                _refuse(futures, error.log_detail)
            except Exception as error:  # noqa: BLE001 - callers wait for an answer
                _log.error("ledger_write_failed", **_reason(error))
                _refuse(futures, type(error).__name__)
            else:
                self._is_refusing = False
                for done in futures:
                    # Whoever no longer waits has cancelled it.
                    if not done.done():
                        done.set_result(None)

    async def _keep(self, rows: Sequence[Row]) -> None:
        """Make rows durable, in the database or else in the spool."""
        if not self._is_spooling:
            try:
                await self._insert(rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, rows are kept
                self._is_spooling = True
                _log.warning("ledger_spooling", **_reason(error))
            else:
                return
        try:
            records = list(self._rows.records(rows))
            await self._in_thread(self._spool.append, records)
        finally:
            self._start_recovery(self._pause_seconds)

    async def _insert(self, rows: Sequence[Row]) -> None:
        async with self._in_time():
            await self._database.append(self._rows.table, rows)

    async def _ask(self) -> None:
        """Find out whether the database lets anybody write."""
        async with self._in_time(), self._database.begin():
            pass

    def _in_time(self) -> asyncio.Timeout:
        now = asyncio.get_running_loop().time()
        return asyncio.timeout_at(min(now + self._write_seconds, self._give_up_at))

    def _start_recovery(self, pause_seconds: float) -> None:
        is_running = self._recovery is not None and not self._recovery.done()
        if not is_running and not self._is_closed:
            self._recovery = _start(self._recover(pause_seconds))

    async def _recover(self, pause_seconds: float) -> None:
        """Try the database until it has taken all that is in the spool."""
        is_done = False
        while not is_done:
            await asyncio.sleep(pause_seconds)
            try:
                await self._replay()
            except (StorageUnavailableError, TimeoutError):
                longer = max(pause_seconds * 2, self._pause_seconds)
                pause_seconds = min(longer, _MAX_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the rows wait for the next time
                _log.error("ledger_replay_failed", **_reason(error))
                pause_seconds = _MAX_PAUSE_SECONDS
            else:
                is_done = not self._is_spooling and not self._spool.size
                pause_seconds = self._pause_seconds

    async def _replay(self) -> None:
        await self._ask()
        await self._in_thread(self._spool.adopt)
        count = await self._replay_sealed()
        # Only now, so that a database that takes nothing does not make many files.
        await self._in_thread(self._spool.seal)
        count += await self._replay_sealed()
        self._take_again()
        if count:
            _log.info("ledger_replayed", rows=count)

    async def _replay_sealed(self) -> int:
        count = 0
        for segment in self._spool.sealed():
            count += await self._replay_segment(segment)
        return count

    async def _replay_segment(self, segment: Segment) -> int:
        from llm_proxy.storage import RefusedRowsError

        rows = self._rows.read(await self._in_thread(segment.read))
        refused = 0
        for start in range(0, len(rows), _MAX_GROUP_ROWS):
            group = rows[start : start + _MAX_GROUP_ROWS]
            try:
                await self._insert(group)
            except RefusedRowsError:
                refused += await self._insert_each(group)
            self._take_again()
        if refused:
            _log.error("ledger_rows_refused", file=segment.path.name, rows=refused)
            await self._in_thread(self._spool.set_aside, segment)
        else:
            await self._in_thread(self._spool.remove, segment)
        return len(rows) - refused

    async def _insert_each(self, rows: Sequence[Row]) -> int:
        """Write rows one by one, so that a bad one does not hold up the others."""
        from llm_proxy.storage import RefusedRowsError

        refused = 0
        for row in rows:
            try:
                await self._insert([row])
            except RefusedRowsError:
                refused += 1
        return refused

    def _take_again(self) -> None:
        self._is_spooling = self._is_refusing = False

    async def _in_thread(self, act: Callable[..., _T], *values: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, act, *values)


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    # In a context of its own: its log lines are not those of the request that came
    # first.
    return asyncio.get_running_loop().create_task(work, context=Context())


def _refuse(futures: Sequence[asyncio.Future[None]], reason: str) -> None:
    _log.error("ledger_rows_lost", rows=len(futures), reason=reason)
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

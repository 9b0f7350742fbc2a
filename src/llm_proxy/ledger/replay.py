"""Brings rows from the spool to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from llm_proxy.ledger.rows import Row, Rows
    from llm_proxy.ledger.segment import Segment
    from llm_proxy.ledger.spool import Spool

_log = get_logger(__name__)

MAX_GROUP_ROWS = 500
_STEP = 4


class Replay:
    """Writes what is in the spool, group after group.

    A database that does not take a group in time may be slow and not away: it is asked
    for less each time.

    Args:
        spool: Has the rows.
        rows: Knows how they are written.
        insert: Writes a group to the database, and changes no row that is there.
        block: Calls the spool, which blocks, in a thread.

    Attributes:
        group_rows: How many rows to ask it for.
    """

    def __init__(
        self,
        spool: Spool,
        rows: Rows,
        insert: Callable[[Sequence[Row]], Awaitable[None]],
        block: Callable[..., Awaitable[Any]],
    ) -> None:
        self._spool = spool
        self._rows = rows
        self._insert = insert
        self._block = block
        self.group_rows = MAX_GROUP_ROWS

    async def run(self) -> int:
        """Bring everything, also what dead processes have left.

        Returns:
            How many rows the database has taken.

        Raises:
            StorageUnavailableError: The database or the disk is in trouble; what is in
                the spool stays there.
            TimeoutError: The database took too long.
        """
        await self._block(self._spool.adopt)
        count = await self._bring_sealed()
        # Only now, so that a database that takes nothing does not make many files.
        await self._block(self._spool.seal)
        return count + await self._bring_sealed()

    async def insert(self, group: Sequence[Row]) -> None:
        """Write a group, wherever its rows come from.

        Args:
            group: At most `group_rows` rows.

        Raises:
            RefusedRowsError: A row breaks a rule of the table; none is written.
            StorageUnavailableError: The database is in trouble.
            TimeoutError: It took too long.
        """
        try:
            await self._insert(group)
        except (StorageUnavailableError, TimeoutError):
            self.group_rows = max(self.group_rows // _STEP, 1)
            raise

    async def _bring_sealed(self) -> int:
        count = 0
        for segment in self._spool.sealed():
            count += await self._bring(segment)
        return count

    async def _bring(self, segment: Segment) -> int:
        rows = self._rows.read(await self._block(segment.read))
        start = refused = 0
        while start < len(rows):
            group = rows[start : start + self.group_rows]
            refused += await self._write(group)
            start += len(group)
        if refused:
            _log.error("ledger_rows_refused", file=segment.path.name, rows=refused)
            await self._block(self._spool.set_aside, segment)
        else:
            await self._block(self._spool.remove, segment)
        return len(rows) - refused

    async def _write(self, group: Sequence[Row]) -> int:
        """Write a group, without rows that the database refuses; returns how many."""
        from llm_proxy.storage import RefusedRowsError

        try:
            await self.insert(group)
        except RefusedRowsError:
            if len(group) == 1:
                return 1
            # One by one, so that a bad one does not hold up the others.
            return sum([await self._write([row]) for row in group])
        return 0

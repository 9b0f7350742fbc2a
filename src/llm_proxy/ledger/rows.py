"""Turns entries into rows of the ledger's table, and rows into what spools keep."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from llm_proxy.types.stored_text import is_plain, storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm_proxy.ledger.entry import Entry

Value = str | int | float | None
# One value for each column of the table, in their order.
Row = tuple[Value, ...]
# The same by the names of the columns, which outlives changes of the table.
Record = dict[str, Value]

# The largest number of a BIGINT: an upstream may claim any number of tokens.
_MAX_NUMBER = 2**63 - 1
# What is no longer fits into any column that others have a say in.
_SHORT = 64
# Texts that are made here, and fit.
_OURS = frozenset({"id", "usage_source", "cost_source", "price", "cache", "status"})


class Rows:
    """Knows what the ledger's table takes."""

    def __init__(self) -> None:
        # SQLAlchemy takes long to import, and whoever has a database has done it.
        import sqlalchemy as sa

        from llm_proxy.storage.tables import ledger

        self.table: sa.Table = ledger
        # SQLAlchemy's are more than texts, which orjson does not write.
        self._names = tuple(map(str, ledger.columns.keys()))
        self._lengths = {
            number: column.type.length
            for number, column in enumerate(ledger.columns)
            if isinstance(column.type, sa.String) and column.name not in _OURS
        }
        self._texts = itemgetter(*self._lengths)

    def row(self, entry: Entry) -> Row:
        """Write an entry as the row that every database takes.

        Args:
            entry: One attempt; much of it is the caller's or the upstream's word.

        Returns:
            A value for each column.
        """
        usage, cost = entry.usage, entry.cost
        row: Row = (
            entry.id,
            entry.at_ms,
            entry.request_id,
            entry.attempt,
            entry.principal,
            entry.project,
            entry.organisation,
            entry.team,
            entry.owner,
            entry.user_id,
            entry.feature,
            entry.asked_model,
            entry.provider,
            entry.model,
            entry.answered_model,
            _bounded(usage.input_tokens),
            _bounded(usage.output_tokens),
            _bounded(usage.cached_tokens),
            _bounded(usage.cache_write_tokens),
            _bounded(usage.reasoning_tokens),
            usage.source,
            cost.nanos,
            cost.source,
            cost.price,
            entry.cache,
            entry.status,
            entry.code,
            entry.seconds,
            entry.first_token_seconds,
        )
        texts = [*filter(None, self._texts(row))]
        if is_plain("".join(texts)) and max(map(len, texts)) <= _SHORT:
            return row
        return tuple(map(self._fitted, range(len(row)), row))

    def _fitted(self, column: int, value: Value) -> Value:
        if isinstance(value, str) and column in self._lengths:
            return storable(value, self._lengths[column])
        return value

    def records(self, rows: Iterable[Row]) -> Iterator[Record]:
        """Name the values of rows.

        Args:
            rows: As `row` makes them.

        Yields:
            A record for each.
        """
        for row in rows:
            yield dict(zip(self._names, row, strict=True))

    def read(self, records: Iterable[Record]) -> list[Row]:
        """Make rows of records, which an earlier version may have written.

        Args:
            records: As `records` makes them.

        Returns:
            Rows of the table; what a record does not have is empty.
        """
        return [tuple(each.get(name, "") for name in self._names) for each in records]


def _bounded(number: int) -> int:
    if 0 <= number <= _MAX_NUMBER:
        return number
    return max(-_MAX_NUMBER, min(number, _MAX_NUMBER))

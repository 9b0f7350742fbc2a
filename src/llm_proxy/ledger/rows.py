"""Turns entries into rows of the ledger's table, and rows into one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from llm_proxy.ledger.entry import Entry

Value = str | int | float | None
Row = dict[str, Value]

# The largest number of a BIGINT: an upstream may claim any number of tokens.
_MAX_NUMBER = 2**63 - 1


class Rows:
    """Knows what the table takes, and how a row that is there already is passed over.

    Args:
        is_sqlite: Which of the two dialects the database speaks.
    """

    def __init__(self, *, is_sqlite: bool) -> None:
        # SQLAlchemy takes long to import, and whoever has a database has done it.
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql, sqlite

        from llm_proxy.storage.tables import ledger

        insert = sqlite.insert if is_sqlite else postgresql.insert
        self._insert: sa.Insert = insert(ledger).on_conflict_do_nothing(
            index_elements=[ledger.c.id]
        )
        self._lengths = {
            column.name: column.type.length
            for column in ledger.columns
            if isinstance(column.type, sa.String) and not column.primary_key
        }

    def row(self, entry: Entry) -> Row:
        """Write an entry as the row that every database takes.

        Args:
            entry: One attempt; much of it is the caller's or the upstream's word.

        Returns:
            A value for each column.
        """
        usage, cost = entry.usage, entry.cost
        row: Row = {
            "id": entry.id,
            "at_ms": entry.at_ms,
            "request_id": entry.request_id,
            "attempt": entry.attempt,
            "principal": entry.principal,
            "project": entry.project,
            "feature": entry.feature,
            "asked_model": entry.asked_model,
            "provider": entry.provider,
            "model": entry.model,
            "answered_model": entry.answered_model,
            "input_tokens": _bounded(usage.input_tokens),
            "output_tokens": _bounded(usage.output_tokens),
            "cached_tokens": _bounded(usage.cached_tokens),
            "cache_write_tokens": _bounded(usage.cache_write_tokens),
            "reasoning_tokens": _bounded(usage.reasoning_tokens),
            "usage_source": usage.source,
            "cost_nanos": _bounded(cost.nanos),
            "cost_source": cost.source,
            "status": entry.status,
            "code": entry.code,
            "seconds": entry.seconds,
            "first_token_seconds": entry.first_token_seconds,
        }
        for name, length in self._lengths.items():
            text = row[name]
            if isinstance(text, str):
                row[name] = _storable(text)[:length]
        return row

    async def insert(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Add rows, except those that are there already.

        Args:
            connection: In a transaction.
            rows: At least one.
        """
        await connection.execute(self._insert, rows)


def _bounded(number: int) -> int:
    return max(-_MAX_NUMBER, min(number, _MAX_NUMBER))


def _storable(text: str) -> str:
    """Replace what UTF-8 or Postgres cannot hold: lone surrogates and NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return (
        text.encode(errors="replace")
        .decode()
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )

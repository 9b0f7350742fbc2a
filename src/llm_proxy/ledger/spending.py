"""How much money somebody has spent, where a budget's counter has to start."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from llm_proxy.config import ALIAS_PROVIDER
from llm_proxy.types.stored_text import storable

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from llm_proxy.storage.database import Database
    from llm_proxy.types import Subject

# Of the columns, in characters.
_NAME_LENGTH = 255
_MODEL_LENGTH = 512


async def spent(database: Database, subject: Subject, period: str) -> int:
    """Add up the ledger, and what was set aside for calls whose end nobody knows.

    Args:
        database: Where both are.
        subject: Who has spent it. Of a model, the calls that have asked for it by this
            name count, and those that it has answered as ``provider/model``.
        period: A day such as ``2026-11-21``, a month such as ``2026-11``, or ``total``;
            of UTC.

    Returns:
        Billionths of a US dollar.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import ledger, reservations

    row = reservations.c
    settled = sa.select(sa.func.sum(ledger.c.cost_nanos)).where(
        _is_of(ledger, subject), *_within(ledger, period)
    )
    # Nobody may have marked them yet.
    is_lost = (row.state == "lost") | (row.expires_ms < time.time_ns() // 1_000_000)
    lost = sa.select(sa.func.sum(row.nanos)).where(
        _is_of(reservations, subject), *_within(reservations, period), is_lost
    )
    # In one statement, so that both are of the same moment.
    both = sa.select(settled.scalar_subquery(), lost.scalar_subquery())
    async with database.report() as connection:
        sums = (await connection.execute(both)).one()
    return sum(int(nanos or 0) for nanos in sums)


def _is_of(table: Table, subject: Subject) -> ColumnElement[bool]:
    """Write in SQL that a row is somebody's."""
    import sqlalchemy as sa

    column = table.c
    if subject.kind == "model":
        # Limits find models by their names in any case.
        names = subject.name, f"{ALIAS_PROVIDER}/{subject.name}"
        model, *_ = known = [
            sa.func.lower(storable(name, _MODEL_LENGTH)) for name in names
        ]
        asked = sa.func.lower(column.asked_model).in_(known)
        if "provider" not in column:
            return asked
        answered = sa.func.lower(column.provider + "/" + column.model) == model
        return sa.or_(asked, answered)
    name = storable(subject.name, _NAME_LENGTH)
    if subject.kind == "key":
        return column.principal == name
    if subject.kind == "organisation":
        return column.organisation == name
    member = column.owner if subject.kind == "user" else column.team
    organisation = storable(subject.organisation, _NAME_LENGTH)
    # Names of one organisation mean nothing in another.
    return sa.and_(member == name, column.organisation == organisation)


def _within(table: Table, period: str) -> list[ColumnElement[bool]]:
    """Write in SQL when a row has to be of, in a way that an index serves."""
    if period == "total":
        return []
    start, end = _bounds(period)
    return [table.c.at_ms >= start, table.c.at_ms < end]


def _bounds(period: str) -> tuple[int, int]:
    """Find where a day or a month begins and ends, in milliseconds since 1970."""
    is_month = period.count("-") == 1
    first = date.fromisoformat(f"{period}-01" if is_month else period)
    # A day in the next month, whatever this one's length is.
    later = first + timedelta(days=31 if is_month else 1)
    end = later.replace(day=1) if is_month else later
    return _ms(first), _ms(end)


def _ms(day: date) -> int:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return round(moment.timestamp() * 1000)

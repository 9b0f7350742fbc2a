"""The ledger's days: UTC, counted from 1970, so that all databases agree on them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_EPOCH = date(1970, 1, 1).toordinal()
_MS_PER_DAY = 86_400_000


def read_day(text: str) -> date:
    """Read a day as it is written in reports.

    Args:
        text: Such as ``2026-11-21``.

    Returns:
        The day.

    Raises:
        ValueError: It is something else; Python reads other forms as well, such as
            ``2026-W47-6``.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(text)
    return day


def number_of(day: date) -> int:
    """Count the days from 1970 to a day.

    Args:
        day: Of any year.

    Returns:
        What stands in `day_number` for the entries of this day.
    """
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """Find the day that has a number.

    Args:
        number: Days since 1970.

    Returns:
        The day.
    """
    return date.fromordinal(number + _EPOCH)


def day_number() -> ColumnElement[int]:
    """Write the number of an entry's day in SQL.

    Returns:
        The expression; it has no bound parameter, so that Postgres takes it for the
        same in the columns and in ``GROUP BY``.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import ledger

    per_day = sa.literal_column(str(_MS_PER_DAY), sa.BigInteger)
    return ledger.c.at_ms // per_day


def within(first: date, last: date) -> ColumnElement[bool]:
    """Write in SQL that an entry is of some days, in a way that an index serves.

    Args:
        first: The first of them.
        last: The last of them.

    Returns:
        The condition.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import ledger

    start, end = number_of(first), number_of(last) + 1
    at_ms = ledger.c.at_ms
    return sa.and_(at_ms >= start * _MS_PER_DAY, at_ms < end * _MS_PER_DAY)

"""Sums of the ledger: who has used what, when, and for how much money."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_proxy.errors import InvalidInputError
from llm_proxy.ledger.days import day_number, day_of, number_of, within
from llm_proxy.ledger.entry import NANO_DOLLAR

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row, Select

    from llm_proxy.storage.database import Database

Dimension = Literal[
    "key",
    "model",
    "provider",
    "project",
    "feature",
    "organisation",
    "team",
    "user",
    "user_id",
    "day",
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which entries to add up, and how to divide them.

    Attributes:
        principal: Whose entries; None for everybody's, which only operators may see.
        first_day: The first day, UTC.
        last_day: The last day, included.
        by: One sum for each combination of these; each at most once.
        only: Dimensions and the values that count, days written as ``2026-11-21``.
        organisation: Whose members' entries; None for all.
    """

    principal: str | None
    first_day: date
    last_day: date
    by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, Collection[str]] = field(default_factory=dict)
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one group of entries.

    Attributes:
        group: What its entries have in common, in the order that was asked for.
        calls: Attempts that have reached an upstream.
        failed_calls: Those without a whole answer; one that its caller has abandoned
            has not failed.
        unpriced_calls: Those whose price nobody knows; they are missing in the cost.
        input_tokens: All tokens of the prompts, cached ones included.
        output_tokens: All tokens of the answers, reasoning included.
        cached_tokens: The part of the input that was read from a cache.
        cache_write_tokens: The part of the input that was written to a cache.
        reasoning_tokens: The part of the output that is thoughts.
        cost: US dollars, with nine decimals.
    """

    group: Mapping[Dimension, str]
    calls: int
    failed_calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Decimal

    def cells(self) -> list[str | int | Decimal]:
        """List the group's values and the sums, in the order of `columns`."""
        return [*self.group.values(), *(getattr(self, name) for name in _SUMS)]


_SUMS = tuple(each.name for each in fields(UsageRow) if each.name != "group")


def columns(by: tuple[Dimension, ...]) -> tuple[str, ...]:
    """Name the cells of rows.

    Args:
        by: The dimensions of the query.

    Returns:
        One name for each of `UsageRow.cells`.
    """
    return (*by, *_SUMS)


async def usage(database: Database, query: UsageQuery) -> list[UsageRow]:
    """Add up entries of the ledger.

    Args:
        database: Where the ledger is.
        query: Which entries, and how they are divided.

    Returns:
        The sums, in the order of their groups; without dimensions one row, which is
        there even if there are no entries.

    Raises:
        InvalidInputError: There are more groups than a report may have.
        StorageUnavailableError: The database does not answer.
    """
    async with database.report() as connection:
        found = (await connection.execute(_statement(query))).all()
    if len(found) > MOST_ROWS:
        raise InvalidInputError(
            f"The report has more than {MOST_ROWS} rows: "
            "ask for fewer days or group by less"
        )
    rows = [_read(row, query.by) for row in found]
    # Databases differ in how they sort text.
    rows.sort(key=lambda row: tuple(row.group.values()))
    return rows


def _statement(query: UsageQuery) -> Select[*tuple[Any, ...]]:
    import sqlalchemy as sa

    from llm_proxy.storage.tables import ledger

    entry = ledger.c
    dimensions: dict[Dimension, ColumnElement[str] | ColumnElement[int]] = {
        "key": entry.principal,
        "model": entry.model,
        "provider": entry.provider,
        "project": entry.project,
        "feature": entry.feature,
        "organisation": entry.organisation,
        "team": entry.team,
        "user": entry.owner,
        "user_id": entry.user_id,
        "day": day_number(),
    }
    conditions = [within(query.first_day, query.last_day)]
    if query.principal is not None:
        conditions.append(entry.principal == query.principal)
    if query.organisation is not None:
        conditions.append(entry.organisation == query.organisation)
    for dimension, values in query.only.items():
        stored = [_stored(dimension, value) for value in values]
        conditions.append(dimensions[dimension].in_(stored))
    count, added = sa.func.count(), sa.func.sum
    # In the order of the fields of `UsageRow`.
    sums = (
        count,
        count.filter(entry.status.in_(("failed", "broken"))),
        count.filter(entry.cost_source == "unknown"),
        added(entry.input_tokens),
        added(entry.output_tokens),
        added(entry.cached_tokens),
        added(entry.cache_write_tokens),
        added(entry.reasoning_tokens),
        added(entry.cost_nanos),
    )
    groups = [dimensions[dimension] for dimension in query.by]
    return (
        sa.select(*groups, *sums)
        .where(*conditions)
        .group_by(*groups)
        .limit(MOST_ROWS + 1)
    )


def _stored(dimension: Dimension, value: str) -> str | int:
    return number_of(date.fromisoformat(value)) if dimension == "day" else value


def _read(row: Row[Any], by: tuple[Dimension, ...]) -> UsageRow:
    size = len(by)
    group = {
        dimension: day_of(value).isoformat() if dimension == "day" else str(value)
        for dimension, value in zip(by, row[:size], strict=True)
    }
    # Sums of nothing are null, and those of Postgres are no integers.
    sums: dict[str, Any] = {
        name: int(value or 0) for name, value in zip(_SUMS, row[size:], strict=True)
    }
    return UsageRow(group, **sums | {"cost": sums["cost"] * NANO_DOLLAR})

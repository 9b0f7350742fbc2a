"""How far the ledger is from what a provider wants to be paid."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_proxy.ledger.days import day_number, day_of, within
from llm_proxy.ledger.entry import NANO_DOLLAR
from llm_proxy.ledger.invoice import InvoiceLine

if TYPE_CHECKING:
    from llm_proxy.storage.database import Database

_RATIO_DIGITS = Decimal("0.0001")
_DATED = re.compile(r"-20\d\d-?\d\d-?\d\d$", re.ASCII)
_SEPARATOR = re.compile(r"[ ._]")

# A day, and a model's name as `_plain` writes it.
_Key = tuple[date, str]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One model on one day, in our words and in theirs.

    Attributes:
        day: UTC.
        model: As the invoice spells it, or as the upstream does if the invoice does
            not mention it; empty for what no model has done.
        ours: US dollars, by the ledger.
        theirs: US dollars, by the invoice, rounded to nine decimals.
    """

    day: date
    model: str
    ours: Decimal
    theirs: Decimal

    @property
    def difference(self) -> Decimal:
        """By how many US dollars the ledger has more than the invoice."""
        return self.ours - self.theirs

    @property
    def ratio(self) -> Decimal | None:
        """The ledger's cost as a share of the invoice's; None if that is nothing."""
        if not self.theirs:
            return None
        return (self.ours / self.theirs).quantize(_RATIO_DIGITS)


async def drift(
    database: Database, invoice: Iterable[InvoiceLine], provider: str | None = None
) -> list[DriftRow]:
    """Compare an invoice with the ledger, from its first day to its last.

    Invoices name a model as the upstream that answers does (``gpt-4o-2024-08-06``), as
    it is asked for (``gpt-4o``), or as people do (``Claude Sonnet 4.5``); an entry is
    counted for the first of these that the invoice mentions.

    Args:
        database: Where the ledger is.
        invoice: What is charged.
        provider: The only provider whose entries count; None for all.

    Returns:
        One row for each model and day on which either side has a cost, by day.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    theirs: defaultdict[_Key, Decimal] = defaultdict(Decimal)
    spelling: dict[str, str] = {}
    for line in invoice:
        name = _plain(line.model)
        spelling.setdefault(name, line.model)
        theirs[line.day, name] += line.cost
    if not theirs:
        return []
    ours: defaultdict[_Key, Decimal] = defaultdict(Decimal)
    billed = frozenset(spelling)
    days = [day for day, _ in theirs]
    for day, *names, cost in await _costs(database, min(days), max(days), provider):
        known = _name(names, billed)
        spelling.setdefault(known, names[0])
        ours[day, known] += cost
    return [
        DriftRow(
            day,
            spelling[name],
            ours[day, name],
            theirs[day, name].quantize(NANO_DOLLAR),
        )
        for day, name in sorted(ours.keys() | theirs.keys())
        if ours[day, name] or theirs[day, name]
    ]


async def _costs(
    database: Database, first: date, last: date, provider: str | None
) -> list[tuple[date, str, str, Decimal]]:
    """Add up the ledger by day, answering model and asked model."""
    import sqlalchemy as sa

    from llm_proxy.storage.tables import ledger

    entry = ledger.c
    groups = (
        day_number(),
        sa.func.coalesce(entry.answered_model, entry.model),
        entry.model,
    )
    statement = (
        sa.select(*groups, sa.func.sum(entry.cost_nanos))
        .where(within(first, last))
        .group_by(*groups)
    )
    if provider is not None:
        statement = statement.where(entry.provider == provider)
    async with database.report() as connection:
        found = (await connection.execute(statement)).all()
    return [
        (day_of(day), answered, asked, int(nanos) * NANO_DOLLAR)
        for day, answered, asked, nanos in found
    ]


def _name(names: Collection[str], billed: Collection[str]) -> str:
    """Choose the name under which an invoice would mention a model."""
    plain = [_plain(name) for name in names]
    undated = [_DATED.sub("", name) for name in plain]
    return next((name for name in plain + undated if name in billed), plain[0])


def _plain(model: str) -> str:
    """Write a model's name so that spellings of it are the same."""
    return _SEPARATOR.sub("-", model.casefold())

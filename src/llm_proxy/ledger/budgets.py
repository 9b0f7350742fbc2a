"""What is left of the budgets of a key, for whoever asks about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_proxy.ledger.spending import spent
from llm_proxy.types import Subject
from llm_proxy.types.money import dollars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_proxy.storage.database import Database
    from llm_proxy.types import Budget, Period


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget and what the ledger has of it, in US dollars as people read them.

    Attributes:
        period: Of the budget; today and this month are those of UTC.
        limit: The whole budget.
        spent: What `spent` says.
        remaining: The rest, at least ``0``.
    """

    period: Period
    limit: str
    spent: str
    remaining: str


async def spending(
    database: Database, key_id: str, budgets: Iterable[Budget]
) -> list[Spending]:
    """Say how the budgets of a key stand.

    Args:
        database: Where the ledger is.
        key_id: The key.
        budgets: Those of its own.

    Returns:
        How each stands, in the same order.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    day = datetime.now(UTC).date().isoformat()
    periods = {"day": day, "month": day[:7], "total": "total"}
    subject = Subject("key", key_id)
    found = []
    for budget in budgets:
        nanos = await spent(database, subject, periods[budget.period])
        amounts = (budget.nanos, nanos, max(0, budget.nanos - nanos))
        found.append(Spending(budget.period, *map(dollars, amounts)))
    return found

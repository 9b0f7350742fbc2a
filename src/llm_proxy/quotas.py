"""What is set aside for a call before it is made, and settled once it is over."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_proxy.errors import BudgetExceededError
from llm_proxy.telemetry import get_logger
from llm_proxy.tokens import TokenCounter

if TYPE_CHECKING:
    import asyncio

    from llm_proxy.accounting import Booked
    from llm_proxy.call import Call
    from llm_proxy.demand import Demand
    from llm_proxy.ledger import Costs, Reservations
    from llm_proxy.limits import Allowances, Reservation, Terms
    from llm_proxy.routing import Target

_log = get_logger(__name__)
_MOST_WARNED = 1000


class Unpriced:
    """Tells operators of models that no budget bounds, once of each.

    Args:
        costs: Know the prices.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._told: set[Target] = set()

    def watch(self, booked: Booked) -> None:
        """Look for attempts that should have counted against a budget.

        Args:
            booked: What a call has used.
        """
        for target, cost in booked.costs:
            # What an attempt has cost may be unknown for other reasons as well.
            if cost.source != "unknown" or self._costs.is_priced(*target):
                continue
            if target not in self._told and len(self._told) < _MOST_WARNED:
                self._told.add(target)
                _log.warning(
                    "budget_unpriced", provider=target.provider, model=target.model
                )


@dataclass(frozen=True, slots=True)
class Held:
    """What is set aside for one call.

    Attributes:
        reservation: What has been taken from the limits.
        lease: Its name, under which the database knows of the money.
        reservations: The database's; None if no money is set aside there.
        unpriced: Watches what budgets bound; None if none bounds the call.
    """

    reservation: Reservation
    lease: str
    reservations: Reservations | None
    unpriced: Unpriced | None

    def settle(self, booked: Booked) -> None:
        """Put the truth in place of what was set aside.

        Args:
            booked: What the call has used.
        """
        self.reservation.settle(booked.tokens, booked.nanos)
        if self.unpriced is not None:
            self.unpriced.watch(booked)
        if self.reservations is None:
            return
        if booked.done is None:
            self.reservations.release(self.lease)
        else:
            # A crash before the row is durable must leave one of the two behind.
            booked.done.add_done_callback(self._release)

    def _release(self, _: asyncio.Future[None]) -> None:
        if self.reservations is not None:
            self.reservations.release(self.lease)


class Quotas:
    """Sets aside what calls may use.

    Args:
        terms: Know which limits bound a call.
        allowances: Hold them.
        costs: Know what it may cost.
        reservations: Remember the money if this process does not survive the call; None
            where there is no database.
        output_tokens: The length of an answer that nobody bounds.
    """

    def __init__(
        self,
        terms: Terms,
        allowances: Allowances,
        costs: Costs,
        reservations: Reservations | None,
        output_tokens: int,
    ) -> None:
        self._terms = terms
        self._allowances = allowances
        self._costs = costs
        self._unpriced = Unpriced(costs)
        self._reservations = reservations
        self._output_tokens = output_tokens
        self._counter = TokenCounter()

    async def reserve(self, call: Call, demand: Demand) -> Held | None:
        """Set aside what a call needs.

        Args:
            call: Who asks whom.
            demand: How much may be used.

        Returns:
            What has to be settled, in every case; None if nothing bounds the call.

        Raises:
            RateLimitExceeded: A limit has not enough left.
            BudgetExceededError: There is not enough money.
            StorageUnavailableError: Nobody can count the money now.
        """
        route, model = call.route, call.trace.model
        terms = self._terms.of(call.principal, (*route.names, str(route.first)))
        if not terms:
            return None
        tokens = nanos = written = 0
        kinds = {term.kind for term in terms}
        if not kinds.isdisjoint(("tokens", "money")):
            read = await demand.input_tokens(route.first.model, self._counter)
            written = self._output_tokens
            if demand.output_tokens is not None:
                written = demand.output_tokens
            written *= demand.answers
            tokens = read + written
            nanos = self._costs.most(route.targets, read, written)
        lease = secrets.token_hex(16)
        try:
            reservation = await self._allowances.reserve(terms, tokens, nanos, lease)
        except BudgetExceededError as error:
            if demand.output_tokens is None:
                error.message += (
                    f"; max_tokens is not given, so {written} output tokens are set "
                    "aside"
                )
            raise
        if "money" not in kinds:
            return Held(reservation, lease, None, None)
        if self._reservations is not None:
            self._reservations.hold(lease, call.principal, model, nanos)
        return Held(reservation, lease, self._reservations, self._unpriced)

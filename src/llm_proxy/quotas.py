"""What is set aside for a call before it is made, and settled once it is over."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_proxy.limits import used_share

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from llm_proxy.accounting import Booked
    from llm_proxy.call import Call
    from llm_proxy.demand import Demand
    from llm_proxy.ledger import Costs, Reservations
    from llm_proxy.limits import Allowances, Reservation, Terms


@dataclass(frozen=True, slots=True)
class Held:
    """What is set aside for one call.

    Attributes:
        reservation: What has been taken from the limits.
        lease: Its name, under which the database knows of the money.
        reservations: The database's; None if no money is set aside there.
    """

    reservation: Reservation
    lease: str
    reservations: Reservations | None

    def settle(self, booked: Booked) -> None:
        """Put the truth in place of what was set aside.

        Args:
            booked: What the call has used.
        """
        self.reservation.settle(booked.tokens, booked.nanos)
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
        self._reservations = reservations
        self._output_tokens = output_tokens

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
        terms = self._terms.of(call.principal, (model, str(route.first)))
        if not terms:
            return None
        tokens = nanos = 0
        kinds = {term.kind for term in terms}
        if not kinds.isdisjoint(("tokens", "money")):
            read = await demand.input_tokens(route.first.model)
            written = self._output_tokens
            if demand.output_tokens is not None:
                written = demand.output_tokens
            written *= demand.answers
            tokens = read + written
            nanos = self._costs.most(route.targets, read, written)
        lease = secrets.token_hex(16)
        reservation = await self._allowances.reserve(terms, tokens, nanos, lease)
        reservations = self._reservations if "money" in kinds else None
        if reservations is not None:
            reservations.hold(lease, call.principal, model, nanos)
        return Held(reservation, lease, reservations)


def standing_headers(reservation: Reservation) -> Iterator[tuple[bytes, bytes]]:
    """Say how the limits stand, in the headers that OpenAI's API has for that.

    Args:
        reservation: What a call has taken from them.

    Yields:
        Raw headers: of requests and of tokens the limit that is met first, and the
        budgets that are nearly spent.
    """
    for standing in reservation.standings:
        kind = standing.claim.kind.encode()
        reset = math.ceil(standing.reset_seconds)
        yield b"x-ratelimit-limit-" + kind, b"%d" % standing.claim.limit
        yield b"x-ratelimit-remaining-" + kind, b"%d" % standing.remaining
        yield b"x-ratelimit-reset-" + kind, b"%ds" % reset
    for standing in reservation.warnings:
        claim = standing.claim
        told = f"{claim.subject.kind} {claim.period} {used_share(standing):.0%}"
        yield b"x-llm-proxy-budget-warning", told.encode("ascii")

"""Whether a call may go on, by all the limits that bound it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.claim import Claim, Counters, Standing, Verdict
from llm_proxy.limits.figures import Figures, Spending
from llm_proxy.limits.local import LocalCounters
from llm_proxy.limits.refusal import check_size, refusal
from llm_proxy.limits.reservation import NOTHING, Reservation, used_share
from llm_proxy.limits.terms import Term, claims_of
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)

# A counter is unknown once; again only if it was lost in between.
_MOST_TRIES = 3
_MOST_WARNED = 10_000
_QUIET_SECONDS = 60.0


def _alone() -> int:
    return 1


class Allowances:
    """Reserves what calls need, and refuses those for whom there is not enough.

    While the shared counters are away, each process lets through its part of all rates,
    less what it has let through before. They never hear of it, so that the minute in
    which they come back can have more. Money is not divided: nobody spends any that a
    budget bounds, or nobody counts it, as the operator has chosen.

    Args:
        counters: Count for all processes.
        spending: Knows what was spent before they have counted; None if nobody does.
        processes: Says how many share the counters.
        fails_open: Whether calls go on while nobody can count the money.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        spending: Spending | None = None,
        processes: Callable[[], int] = _alone,
        fails_open: bool = False,
    ) -> None:
        self._counters = counters
        self._local = (
            counters if isinstance(counters, LocalCounters) else LocalCounters()
        )
        self._figures = Figures(spending)
        self._processes = processes
        self._fails_open = fails_open
        self._warned: OrderedDict[str, None] = OrderedDict()
        self._told_at: dict[str, float] = {}

    async def reserve(
        self, terms: Sequence[Term], tokens: int, nanos: int, lease: str
    ) -> Reservation:
        """Set aside what a call needs, or refuse it.

        Args:
            terms: The limits that bound it.
            tokens: How many it needs at most.
            nanos: What it costs at most, in billionths of a US dollar.
            lease: Names the reservation; unique.

        Returns:
            What is set aside; it has to be settled, where it was taken.

        Raises:
            InvalidInputError: It needs more tokens than it can ever have.
            RateLimitExceeded: There will be enough later.
            BudgetExceededError: There is not enough money.
            StorageUnavailableError: Nobody can count the money.
        """
        if not terms:
            return NOTHING
        claims = claims_of(terms, tokens, nanos, datetime.now(UTC))
        check_size(claims)
        try:
            reservation = await self._take_shared(lease, claims)
        except StorageUnavailableError as error:
            reservation = await self._take_share(lease, claims, error)
        for standing in reservation.warnings:
            self._warn(standing)
        return reservation

    async def _take_shared(self, lease: str, claims: Sequence[Claim]) -> Reservation:
        """Take from the counters that all processes have."""
        spent: dict[str, int] = {}
        for _ in range(_MOST_TRIES):
            verdict = await self._counters.reserve(lease, claims, spent)
            if not verdict.unknown:
                standings = _granted(verdict)
                if self._local is self._counters:
                    return Reservation(lease, standings, (self._counters,))
                self._local.note(lease, claims)
                return Reservation(lease, standings, (self._counters, self._local))
            unknown = [claim for claim in claims if claim.counter in verdict.unknown]
            try:
                spent |= await self._figures.of(unknown)
            except StorageUnavailableError as error:
                claims = self._without_money(claims, error)
        raise StorageUnavailableError(log_detail="counters do not keep their figures")

    async def _take_share(
        self, lease: str, claims: Sequence[Claim], error: StorageUnavailableError
    ) -> Reservation:
        """Take from what is this process's own while it cannot be asked of all."""
        rates = self._without_money(claims, error)
        processes = max(1, self._processes())
        self._tell("limits_divided", error, processes=processes)
        shares = [
            claim._replace(limit=max(1, claim.limit // processes)) for claim in rates
        ]
        verdict = await self._local.reserve(lease, shares, {})
        return Reservation(lease, _granted(verdict), (self._local,))

    def _without_money(
        self, claims: Sequence[Claim], error: StorageUnavailableError
    ) -> Sequence[Claim]:
        """Leave out the money, which cannot be counted, if that is allowed."""
        rates = [claim for claim in claims if claim.kind != "money"]
        if len(rates) < len(claims):
            if not self._fails_open:
                raise StorageUnavailableError(log_detail=error.log_detail) from error
            self._tell("budgets_uncounted", error)
        return rates

    def _tell(self, event: str, error: StorageUnavailableError, **facts: int) -> None:
        """Log what a whole outage has in common, once in a while."""
        now = time.monotonic()
        if now - self._told_at.get(event, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._told_at[event] = now
            _log.warning(event, detail=error.log_detail, **facts)

    def _warn(self, standing: Standing) -> None:
        """Log that a budget runs low, once for each of its periods."""
        claim = standing.claim
        if claim.counter in self._warned:
            return
        self._warned[claim.counter] = None
        if len(self._warned) > _MOST_WARNED:
            self._warned.popitem(last=False)
        _log.warning(
            "budget_warning",
            subject=str(claim.subject),
            period=claim.period,
            share=round(used_share(standing), 3),
        )


def _granted(verdict: Verdict) -> Sequence[Standing]:
    """Refuse a call for which there was not enough."""
    if not all(standing.granted for standing in verdict.standings):
        raise refusal(verdict.standings)
    return verdict.standings

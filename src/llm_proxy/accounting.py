"""What stands of a call in the ledger once it is over."""

import asyncio
import secrets
import time
from dataclasses import dataclass

from llm_proxy.errors import (
    APIError,
    LLMConnectionError,
    StorageUnavailableError,
    UnsupportedModelError,
)
from llm_proxy.ledger import Cost, Costs, Entry, Ledger, Status
from llm_proxy.routing import Route, Target, Trace, Tried
from llm_proxy.types import Principal, Usage

# Of these no upstream has heard.
_UNHEARD = frozenset((LLMConnectionError.code,))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a call once it is over.

    Attributes:
        principal: Who has asked.
        feature: Which part of the product was used.
        trace: Who was asked.
        target: Who has given the answer, or the last piece of it.
        model: The model that the upstream says has answered.
        usage: Tokens of that answer, as far as they are known.
        first_seconds: How long its first content took; None if there was none.
        error: Why there is no whole answer; None if there is one.
    """

    principal: Principal
    feature: str
    trace: Trace
    target: Target
    model: str | None
    usage: Usage
    first_seconds: float | None
    error: BaseException | None


class Accounts:
    """Books calls.

    Args:
        ledger: Keeps the rows.
        costs: Knows the prices.
        project: The name under which calls are accounted for.
        refuses_unpriced: Whether no call is made whose price nobody knows.
    """

    def __init__(
        self,
        ledger: Ledger,
        costs: Costs,
        project: str,
        *,
        refuses_unpriced: bool = False,
    ) -> None:
        self._refuses_unpriced = refuses_unpriced
        self._ledger = ledger
        self._costs = costs
        self._project = project

    def check(self) -> None:
        """Refuse a call whose cost could not be written down.

        Raises:
            StorageUnavailableError: Neither the database nor the spool takes rows.
        """
        if self._ledger.is_full:
            raise StorageUnavailableError(log_detail="the ledger is full")

    def priced(self, route: Route) -> Route:
        """Leave out who may not be asked because nobody knows the price.

        Args:
            route: Where a call would go.

        Returns:
            Where it may go.

        Raises:
            UnsupportedModelError: Nobody is left.
        """
        if not self._refuses_unpriced:
            return route
        priced = route.only(lambda each: self._costs.is_priced(*each))
        if not priced.tiers:
            raise UnsupportedModelError("The price of this model is not known")
        return priced

    def book(self, outcome: Outcome) -> "asyncio.Future[None] | None":
        """Write down a call that is over, attempt by attempt.

        Args:
            outcome: What has become of it.

        Returns:
            Done once it is durable; None if no upstream has heard of the call.
        """
        reached = [each for each in outcome.trace.tried if _has_reached(each)]
        # Who has answered in the end, if anybody, was asked last of all there.
        last = next(
            (each for each in reversed(reached) if each.target == outcome.target), None
        )
        booked = None
        for number, tried in enumerate(reached, start=1):
            # Rows become durable in their order, so the last one stands for all.
            booked = self._ledger.add(
                self._entry(outcome, number, tried, is_answer=tried is last)
            )
        return booked

    def _entry(
        self, outcome: Outcome, number: int, tried: Tried, *, is_answer: bool
    ) -> Entry:
        usage = outcome.usage if is_answer else Usage()
        status = _status(outcome, tried) if is_answer else _failure(tried)
        return Entry(
            id=secrets.token_hex(16),
            at_ms=time.time_ns() // 1_000_000,
            request_id=outcome.trace.id,
            attempt=number,
            principal=outcome.principal.name,
            project=self._project,
            feature=outcome.feature,
            asked_model=outcome.trace.model,
            provider=tried.target.provider,
            model=tried.target.model,
            answered_model=outcome.model if is_answer else None,
            usage=usage,
            cost=self._cost(outcome, tried, usage, status),
            status=status,
            code=tried.code,
            seconds=tried.seconds,
            first_token_seconds=outcome.first_seconds if is_answer else None,
        )

    def _cost(
        self, outcome: Outcome, tried: Tried, usage: Usage, status: Status
    ) -> Cost:
        if usage.source == "none":
            # Something was made, and nobody says how much.
            return Cost(0, "none" if status == "failed" else "unknown")
        provider, model = tried.target
        return self._costs.of(
            provider, model, usage, usage.reported_cost, outcome.model
        )


def _has_reached(tried: Tried) -> bool:
    return tried.outcome != "passed_over" and tried.code not in _UNHEARD


def _status(outcome: Outcome, tried: Tried) -> Status:
    if outcome.error is None:
        return "answered"
    if outcome.first_seconds is not None:
        return "broken" if isinstance(outcome.error, APIError) else "abandoned"
    return _failure(tried)


def _failure(tried: Tried) -> Status:
    return "abandoned" if tried.outcome == "abandoned" else "failed"

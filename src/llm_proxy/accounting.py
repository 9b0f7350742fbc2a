"""What stands of a call in the ledger once it is over."""

import asyncio
import time
from dataclasses import dataclass

from llm_proxy.call import Call
from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    ProviderNotConfiguredError,
    StorageUnavailableError,
    UnsupportedModelError,
)
from llm_proxy.ledger import Cost, Costs, Entry, Ledger, Status, entry_ids
from llm_proxy.ledger.entry import CostSource
from llm_proxy.pricing import Rates
from llm_proxy.routing import Route, Target, Tried
from llm_proxy.types import FinishReason, Usage
from llm_proxy.types.money import dollars

# Of these no upstream has heard: it was away, or nothing could be written for it.
_UNHEARD = frozenset(
    each.code
    for each in (LLMConnectionError, InvalidInputError, ProviderNotConfiguredError)
)
# What no provider takes money for.
_FREE = frozenset(("v1.count_tokens", "v1.moderations", "v1.stored_responses"))
# After these nobody knows whether the upstream has worked for its money.
_UNSURE = frozenset(
    each.code
    for each in (
        LLMBadResponseError,
        LLMConnectionLostError,
        LLMStreamBrokenError,
        LLMTimeoutError,
    )
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a call once it is over.

    Attributes:
        call: What was asked, and by whom.
        earlier: How many entries of its trace belong to calls before it: a task may ask
            twice.
        target: Who has given the answer, or the last piece of it.
        model: The model that the upstream says has answered.
        usage: Tokens of that answer, as far as they are known.
        halves: What was used of streams that have died before somebody went on.
        finish_reason: Why that answer ended, if it has.
        seconds: How long the call took.
        first_seconds: How long its first content took; None if there was none.
        error: Why there is no whole answer; None if there is one.
    """

    call: Call
    earlier: int
    target: Target
    model: str | None
    usage: Usage
    halves: tuple[tuple[Target, Usage], ...]
    finish_reason: FinishReason | None
    seconds: float
    first_seconds: float | None
    error: BaseException | None

    @property
    def tried(self) -> list[Tried]:
        """The parts that deployments had in it."""
        return self.call.trace.tried[self.earlier :]


@dataclass(frozen=True, slots=True)
class Booked:
    """What a call that is over has used.

    Attributes:
        tokens: Input and output together.
        costs: What each attempt that has reached an upstream has cost.
        done: Done once that is durable; None if nothing has to be written.
        nanos: What all of it has cost, as far as that is known, in billionths of a US
            dollar.
        cost_source: Who knows that, as of the last attempt that had to be paid;
            ``unknown`` as soon as the cost of one attempt is; None if nobody has worked
            it out.
        dollars: The cost in US dollars; None unless all of it is known.
    """

    tokens: int = 0
    costs: tuple[tuple[Target, Cost], ...] = ()
    done: asyncio.Future[None] | None = None
    nanos: int = 0
    cost_source: CostSource | None = None
    dollars: str | None = None


def _booked(
    tokens: int, costs: list[tuple[Target, Cost]], done: asyncio.Future[None] | None
) -> Booked:
    nanos = 0
    source: CostSource = "none"
    for _, cost in costs:
        nanos += cost.nanos
        if cost.source != "none" and source != "unknown":
            source = cost.source
    known = None if source == "unknown" else dollars(nanos)
    return Booked(tokens, tuple(costs), done, nanos, source, known)


class Accounts:
    """Books calls.

    Args:
        ledger: Keeps the rows; None where none are kept.
        costs: Knows the prices.
        project: The name under which calls are accounted for.
        refuses_unpriced: Whether no call is made whose price nobody knows.

    Attributes:
        project: As given.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        costs: Costs,
        project: str,
        *,
        refuses_unpriced: bool = False,
    ) -> None:
        self._refuses_unpriced = refuses_unpriced
        self._ids = entry_ids()
        self._ledger = ledger
        self._costs = costs
        self.project = project

    @property
    def keeps_rows(self) -> bool:
        """Whether an answer has to wait for its rows."""
        return self._ledger is not None

    def check(self) -> None:
        """Refuse a call whose cost could not be written down.

        Raises:
            StorageUnavailableError: Neither the database nor the spool takes rows.
        """
        if self._ledger is not None and self._ledger.is_full:
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

    def price(self, target: Target) -> Rates | None:
        """Say what a deployment costs, as it would be booked.

        Args:
            target: The deployment.

        Returns:
            The prices of a short prompt; None if nobody knows them.
        """
        return self._costs.price(*target)

    def book(self, outcome: Outcome) -> Booked:
        """Write down a call that is over, attempt by attempt.

        Args:
            outcome: What has become of it.

        Returns:
            What it has used; nothing if no upstream has heard of it.
        """
        before = outcome.call.trace.tried[: outcome.earlier]
        reached = [each for each in outcome.tried if _has_reached(each)]
        # Who has answered in the end, if anybody, was asked last of all there.
        last = next(
            (each for each in reversed(reached) if each.target == outcome.target), None
        )
        halves = list(outcome.halves)
        tokens = 0
        costs = []
        done = None
        for number, tried in enumerate(reached, 1 + sum(map(_has_reached, before))):
            is_answer = tried is last
            usage = outcome.usage if is_answer else _half_of(tried, halves)
            entry = self._entry(outcome, number, tried, usage, is_answer=is_answer)
            tokens += usage.input_tokens + usage.output_tokens
            costs.append((tried.target, entry.cost))
            if self._ledger is not None:
                # Rows become durable in their order, so the last one stands for all.
                done = self._ledger.add(entry)
        return _booked(tokens, costs, done)

    def _entry(
        self,
        outcome: Outcome,
        number: int,
        tried: Tried,
        usage: Usage,
        *,
        is_answer: bool,
    ) -> Entry:
        status = _status(outcome, tried) if is_answer else _failure(tried, usage)
        call, principal = outcome.call, outcome.call.principal
        return Entry(
            id=next(self._ids),
            at_ms=time.time_ns() // 1_000_000,
            request_id=call.trace.id,
            attempt=number,
            principal=principal.name,
            project=call.project or self.project,
            organisation=principal.organisation,
            team=principal.team,
            owner=principal.user,
            user_id=call.user_id,
            feature=call.feature,
            asked_model=call.trace.model,
            provider=tried.target.provider,
            model=tried.target.model,
            answered_model=outcome.model if is_answer else None,
            usage=usage,
            cost=self._cost(outcome, tried, usage, status),
            status=status,
            code=tried.code,
            seconds=tried.seconds,
            first_token_seconds=outcome.first_seconds if is_answer else None,
            cache=call.cache,
        )

    def _cost(
        self, outcome: Outcome, tried: Tried, usage: Usage, status: Status
    ) -> Cost:
        if usage.source == "none":
            # Something may have been made, and nobody says how much.
            has_failed = status == "failed" and tried.code not in _UNSURE
            is_free = has_failed or outcome.call.part in _FREE
            return Cost(0, "none" if is_free else "unknown")
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
    return _failure(tried, Usage())


def _failure(tried: Tried, usage: Usage) -> Status:
    if tried.outcome == "abandoned":
        return "abandoned"
    return "failed" if usage.source == "none" else "broken"


def _half_of(tried: Tried, halves: list[tuple[Target, Usage]]) -> Usage:
    """Take what an attempt has used that has not given the answer."""
    for number, (target, _) in enumerate(halves):
        if tried.outcome == "failed" and target == tried.target:
            return halves.pop(number)[1]
    return Usage()

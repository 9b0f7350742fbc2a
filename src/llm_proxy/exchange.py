"""One call and its account: reserved when it begins, settled exactly once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from llm_proxy.accounting import Accounts, Booked, Outcome
from llm_proxy.call import Call
from llm_proxy.call_log import report
from llm_proxy.delivery import Delivery, F, Facts
from llm_proxy.demand import Demand
from llm_proxy.errors import APIError, LLMTimeoutError
from llm_proxy.limits import Places, reservation_headers
from llm_proxy.lingering import Lingering
from llm_proxy.providers import LLMProvider
from llm_proxy.quotas import Held, Quotas
from llm_proxy.recovery import Question
from llm_proxy.routing import Reply, Target
from llm_proxy.telemetry import Metrics
from llm_proxy.types import FinishReason, Usage

T = TypeVar("T")


class Exchanges:
    """Opens exchanges, up to a number at a time.

    Args:
        metrics: Observes every exchange.
        places: For calls under way.
        accounts: Book them.
        quotas: Set aside what they may use; None where nothing is limited.
        lingering: Keeps what is left of calls whose callers have hung up.
    """

    def __init__(
        self,
        metrics: Metrics,
        places: Places,
        accounts: Accounts,
        quotas: Quotas | None = None,
        lingering: Lingering | None = None,
    ) -> None:
        self.metrics = metrics
        self.lingering = lingering or Lingering()
        self.places = places
        self.accounts = accounts
        self._quotas = quotas

    async def open(self, call: Call, demand: Demand) -> "Exchange":
        """Reserve a place for a call, and what it may use.

        Args:
            call: What is asked.
            demand: How much that may be.

        Returns:
            The exchange, to be entered at once.

        Raises:
            OverloadedError: All places are taken.
            RateLimitExceeded: The caller has used up a limit.
            BudgetExceededError: The caller has not enough money left.
            StorageUnavailableError: It could not be accounted for.
        """
        self.accounts.check()
        priced = self.accounts.priced(call.route)
        if priced is not call.route:
            call = replace(call, route=priced)
        started = time.perf_counter()
        await self.places.take(call.route.deadline_seconds)
        if self._quotas is None:
            return Exchange(self, call, started, demand)
        try:
            held = await self._quotas.reserve(call, demand)
        except BaseException:
            self.places.give_back()
            raise
        if held is not None:
            call.trace.headers += reservation_headers(held.reservation)
        return Exchange(self, call, started, demand, held)


class Exchange:
    """The account of one call.

    Used as a context manager, which settles it if the call fails. What succeeds inside
    must settle it, or leave it to somebody who will.

    Args:
        exchanges: Who opened it.
        call: What is asked.
        started: When it was asked, before there was a place for it.
        demand: How much may be used.
        held: What is set aside for it.

    Attributes:
        route: Where the call may go in what is left of its time.
        target: Who answers, once that is known.
        model: The model that says it answers.
        usage: Tokens as last reported.
        finish_reason: Why the answer ended, once it has.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        call: Call,
        started: float,
        demand: Demand,
        held: Held | None = None,
    ) -> None:
        self._started = started
        self.route = call.route.after(self.seconds)
        self.target: Target = call.route.first
        self.model: str | None = None
        self.usage = Usage()
        self.finish_reason: FinishReason | None = None
        self._exchanges = exchanges
        self._call = call
        self._earlier = len(call.trace.tried)
        self._first_text: float | None = None
        self._settled = False
        self._demand = demand
        self._delivery = Delivery(demand)
        self._halves: list[tuple[Target, Usage]] = []
        self._held = held
        self._booked = Booked()
        exchanges.metrics.call_started()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.settle(error)

    @property
    def nanos(self) -> int:
        """What it has cost, in billionths of a US dollar, once it is settled."""
        return self._booked.nanos

    @property
    def cost(self) -> str | None:
        """The same in US dollars; None if nobody knows it, or not all of it."""
        return self._booked.dollars

    @property
    def seconds(self) -> float:
        """Seconds since the call was asked."""
        return time.perf_counter() - self._started

    def question(
        self,
        ask: Callable[[LLMProvider], AsyncGenerator[Sequence[T], None]],
        has_content: Callable[[T], bool],
    ) -> Question[T]:
        """Say what is asked for a stream.

        Args:
            ask: Asks one provider once.
            has_content: Tells content from what only announces it.

        Returns:
            The question, in the time that the call has left.
        """
        return Question(self.route, ask, has_content, self._call.trace)

    @property
    def lingering(self) -> Lingering | None:
        """Who reads the answer on if its caller hangs up; None for nobody."""
        lingering = self._exchanges.lingering
        # One that somebody else would go on with may cost more than it tells.
        can_be = not self._settled and self.route.stream_recovery == "off"
        wanted = can_be and lingering.wants(self.target.provider)
        return lingering if wanted else None

    @property
    def is_booked(self) -> bool:
        """Whether an answer has to wait for its row in the ledger."""
        return self._exchanges.accounts.keeps_rows

    async def answered(self, reply: Reply[F]) -> F:
        """Settle with a complete answer.

        Args:
            reply: The answer.

        Returns:
            The answer itself, once it stands in the ledger.

        Raises:
            StorageUnavailableError: It cannot be written there.
        """
        answer = reply.answer
        self._delivery.add((answer,))
        self.target = reply.target
        self.model = answer.model
        self.usage = answer.usage or self.usage
        self.finish_reason = answer.finish_reason
        self.settle(None)
        await self.durable()
        return answer

    async def durable(self) -> None:
        """Wait until the settled call stands in the ledger.

        Raises:
            StorageUnavailableError: It cannot be written there.
        """
        if self._booked.done is not None:
            # Whoever stops waiting must not take the row with him.
            await asyncio.shield(self._booked.done)

    def note(self, batch: Sequence[Facts]) -> None:
        """Take down what pieces say besides their content.

        Args:
            batch: The pieces.
        """
        self._delivery.add(batch)
        for chunk in batch:
            if chunk.usage is not None:
                self.usage = chunk.usage
            if chunk.finish_reason is not None:
                self.finish_reason = chunk.finish_reason
            if chunk.model is not None:
                self.model = chunk.model
        if batch and self._first_text is None:
            self._first_text = self.seconds

    def went_on(self, target: Target) -> None:
        """Take down that somebody else goes on with a stream that has died.

        Args:
            target: Whose it was until then.
        """
        usage = self._delivery.fill(self.usage, target.model)
        self._halves.append((target, usage))
        self.usage, self._delivery = Usage(), Delivery(self._demand)

    def settle(self, error: BaseException | None) -> None:
        """Close the account; only the first settlement counts.

        Args:
            error: Why there is no whole answer; None if there is one.
        """
        if self._settled:
            return
        self._settled = True
        exchanges, call = self._exchanges, self._call
        exchanges.places.give_back()
        self._count(error)
        outcome = Outcome(
            call=call,
            earlier=self._earlier,
            target=self.target,
            model=self.model,
            usage=self.usage,
            halves=tuple(self._halves),
            finish_reason=self.finish_reason,
            seconds=self.seconds,
            first_seconds=self._first_text,
            error=error,
        )
        if self.is_booked or self._held is not None or call.cache:
            self._booked = exchanges.accounts.book(outcome)
        if self._held is not None:
            self._held.settle(self._booked)
        if error is None and self.cost is not None:
            call.trace.headers.append((b"x-llm-proxy-cost", self.cost.encode("ascii")))
        report(outcome, self._booked, exchanges.metrics, exchanges.accounts.project)

    def _count(self, error: BaseException | None) -> None:
        """Count what has been used, if the upstream does not say it."""
        has_begun = self._first_text is not None
        # Who is silent for too long for us may be at work, and paid for it.
        is_silent = isinstance(error, LLMTimeoutError)
        is_unheard = isinstance(error, APIError) and not (has_begun or is_silent)
        if is_unheard or not self._call.trace.attempts:
            return
        model = self.target.model
        if error is not None and self.finish_reason is None:
            self.usage = self._delivery.fill(self.usage, model)
        elif self.usage.source == "none":
            self.usage = self._delivery.count(model, is_whole=error is None)

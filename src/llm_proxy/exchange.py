"""One call and its account: reserved when it begins, settled exactly once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self, TypeVar

from llm_proxy.accounting import Accounts, Outcome
from llm_proxy.errors import APIError
from llm_proxy.limits import Places
from llm_proxy.providers import LLMProvider
from llm_proxy.recovery import Question
from llm_proxy.routing import Reply, Route, Target, Trace
from llm_proxy.telemetry import Metrics, get_logger
from llm_proxy.types import FinishReason, Principal, Usage

_log = get_logger(__name__)
# Less than this is no wait.
_WAITED_SECONDS = 0.001

F = TypeVar("F", bound="Facts")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks for, whatever surface it came through.

    Attributes:
        principal: Who asks.
        feature: Which part of the product is used, for logs and bills.
        route: Which deployments may answer.
        trace: Takes down who was asked.
    """

    principal: Principal
    feature: str
    route: Route
    trace: Trace


class Facts(Protocol):
    """What an answer, or a piece of one, says about itself."""

    @property
    def model(self) -> str | None:
        """The model that the upstream says is answering."""
        ...

    @property
    def usage(self) -> Usage | None:
        """Tokens, where they are reported."""
        ...

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, once it has."""
        ...


class Exchanges:
    """Opens exchanges, up to a number at a time.

    Args:
        metrics: Observes every exchange.
        project: The name under which calls are accounted for.
        places: For calls under way.
        accounts: Book them; None where no ledger is kept.
    """

    def __init__(
        self,
        metrics: Metrics,
        project: str,
        places: Places,
        accounts: Accounts | None = None,
    ) -> None:
        self.metrics = metrics
        self.project = project
        self.places = places
        self.accounts = accounts

    async def open(self, call: Call) -> "Exchange":
        """Reserve a place for a call.

        Args:
            call: What is asked.

        Returns:
            The exchange, to be entered at once.

        Raises:
            OverloadedError: All places are taken.
            StorageUnavailableError: It could not be accounted for.
        """
        if self.accounts is not None:
            self.accounts.check()
            priced = self.accounts.priced(call.route)
            if priced is not call.route:
                call = replace(call, route=priced)
        started = time.perf_counter()
        await self.places.take(call.route.deadline_seconds)
        return Exchange(self, call, started)


class Exchange:
    """The account of one call.

    Used as a context manager, which settles it if the call fails. What succeeds inside
    must settle it, or leave it to somebody who will.

    Args:
        exchanges: Who opened it.
        call: What is asked.
        started: When it was asked, before there was a place for it.

    Attributes:
        route: Where the call may go in what is left of its time.
        target: Who answers, once that is known.
        model: The model that says it answers.
        usage: Tokens as last reported.
        finish_reason: Why the answer ended, once it has.
    """

    def __init__(self, exchanges: Exchanges, call: Call, started: float) -> None:
        self._started = started
        waited = self.seconds
        # Who did not wait keeps the very route.
        self.route = (
            call.route.after(waited) if waited >= _WAITED_SECONDS else call.route
        )
        self.target: Target = call.route.first
        self.model: str | None = None
        self.usage = Usage()
        self.finish_reason: FinishReason | None = None
        self._exchanges = exchanges
        self._call = call
        self._first_text: float | None = None
        self._settled = False
        self._booked: asyncio.Future[None] | None = None
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
    def is_booked(self) -> bool:
        """Whether an answer has to wait for its row in the ledger."""
        return self._exchanges.accounts is not None

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
        if self._booked is not None:
            # Whoever stops waiting must not take the row with him.
            await asyncio.shield(self._booked)

    def note(self, batch: Sequence[Facts]) -> None:
        """Take down what pieces say besides their content.

        Args:
            batch: The pieces.
        """
        for chunk in batch:
            if chunk.usage is not None:
                self.usage = chunk.usage
            if chunk.finish_reason is not None:
                self.finish_reason = chunk.finish_reason
            if chunk.model is not None:
                self.model = chunk.model
        if batch and self._first_text is None:
            self._first_text = self.seconds

    def settle(self, error: BaseException | None) -> None:
        """Close the account; only the first settlement counts.

        Args:
            error: Why there is no whole answer; None if there is one.
        """
        if self._settled:
            return
        self._settled = True
        exchanges, target, usage = self._exchanges, self.target, self.usage
        exchanges.places.give_back()
        seconds = self.seconds
        for tried in self._call.trace.tried:
            exchanges.metrics.observe_attempt(tried.target.provider, tried.outcome)
        exchanges.metrics.observe_call(
            provider=target.provider,
            model=target.model,
            ok=error is None,
            seconds=seconds,
            usage=usage,
        )
        facts = {
            "project": exchanges.project,
            "feature": self._call.feature,
            "userId": self._call.principal.name,
            "provider": target.provider,
            "model": target.model,
            "response_model": self.model,
            "latency_ms": round(seconds * 1000, 1),
            "first_token_ms": self._first_text and round(self._first_text * 1000, 1),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "tokens_used": usage.input_tokens + usage.output_tokens,
            "usage_source": usage.source,
            "finish_reason": self.finish_reason,
            "attempts": self._call.trace.attempts,
        }
        self._book(error)
        if error is None:
            _log.info("llm_call", success=True, **facts)
        else:
            # Whatever is not one of ours is the caller hanging up, or a defect that is
            # logged where it is caught.
            code = error.code if isinstance(error, APIError) else type(error).__name__
            detail = error.log_detail if isinstance(error, APIError) else ""
            _log.warning("llm_call", success=False, code=code, detail=detail, **facts)

    def _book(self, error: BaseException | None) -> None:
        accounts, call = self._exchanges.accounts, self._call
        if accounts is not None:
            self._booked = accounts.book(
                Outcome(
                    principal=call.principal,
                    feature=call.feature,
                    trace=call.trace,
                    target=self.target,
                    model=self.model,
                    usage=self.usage,
                    first_seconds=self._first_text,
                    error=error,
                )
            )

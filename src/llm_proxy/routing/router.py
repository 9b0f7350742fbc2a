"""The one loop in which calls are attempted, retried and sent elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from llm_proxy.errors import (
    APIError,
    LLMAPIError,
    LLMContentFilteredError,
    LLMTimeoutError,
)
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.routing.booking import book, book_silence
from llm_proxy.routing.health import Attempt
from llm_proxy.routing.hedging import hedged
from llm_proxy.routing.plan import Plan
from llm_proxy.routing.policy import Policy
from llm_proxy.routing.reply import (
    Batches,
    OpenStream,
    Reply,
    Source,
    begin,
    is_filtered,
)
from llm_proxy.routing.route import Route
from llm_proxy.routing.step import Step
from llm_proxy.routing.trace import Trace
from llm_proxy.telemetry import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Opened(Generic[T]):
    """What one attempt has brought."""

    attempt: Attempt
    step: Step
    result: T


class Router:
    """Finds a deployment that answers.

    Args:
        factory: Makes the providers.
        policy: What all calls have in common.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        factory: ProviderFactory,
        policy: Policy,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._factory = factory
        self._policy = policy
        self._sleep = sleep

    async def ask(
        self, route: Route, call: Callable[[LLMProvider], Awaitable[T]], trace: Trace
    ) -> Reply[T]:
        """Get a complete answer.

        Args:
            route: Where the call may go.
            call: Asks one provider once.
            trace: Takes down who was asked.

        Returns:
            The first answer that anybody gives.

        Raises:
            APIError: The last target's last error.
        """
        if route.reroutes_filtered:
            call = _unless_filtered(call)
        opened = await self._run(self._plan(route, trace), call, _forget)
        opened.attempt.end()
        trace.answered_by = opened.attempt.target
        return Reply(opened.attempt.target, opened.result)

    async def open(
        self,
        route: Route,
        call: Callable[[LLMProvider], Batches[T]],
        has_content: Callable[[T], bool],
        trace: Trace,
    ) -> OpenStream[T]:
        """Open a stream; it counts as an answer once its first content has come.

        Args:
            route: Where the call may go.
            call: Asks one provider once.
            has_content: Tells content from what only announces it.
            trace: Takes down who was asked.

        Returns:
            The stream; from here on nothing is retried.

        Raises:
            APIError: The last target's last error.
        """
        return await self._open(self._plan(route, trace), call, has_content)

    async def reopen(
        self,
        source: Source,
        error: APIError,
        call: Callable[[LLMProvider], Batches[T]],
        has_content: Callable[[T], bool],
    ) -> OpenStream[T]:
        """Open the next stream in the place of one that has died.

        Args:
            source: Of the one that has died; it becomes that of the next.
            error: How it has died.
            call: As for `open`.
            has_content: As for `open`.

        Returns:
            The next stream.

        Raises:
            APIError: `error`, or what came of asking the others.
        """
        source.attempt.end(error)
        plan = source.plan
        plan.broke_off(source.step, error)
        plan.deadline = _now() + plan.route.deadline_seconds
        opened = await self._open(plan, call, has_content)
        _log.warning(
            "llm_stream_recovery", provider=source.target.provider, code=error.code
        )
        source.attempt, source.step = opened.source.attempt, opened.source.step
        return replace(opened, source=source)

    async def _open(
        self,
        plan: Plan,
        call: Callable[[LLMProvider], Batches[T]],
        has_content: Callable[[T], bool],
    ) -> OpenStream[T]:
        opened = await self._run(
            plan,
            lambda provider: begin(plan.route, call(provider), has_content),
            _close,
        )
        first, rest = opened.result
        if plan.route.stream_recovery != "buffer":
            # Else somebody else may give the answer in the end.
            plan.trace.answered_by = opened.attempt.target
        return OpenStream(first, rest, Source(opened.attempt, opened.step, plan))

    def _plan(self, route: Route, trace: Trace) -> Plan:
        return Plan(route, self._policy, trace, _now() + route.deadline_seconds, _now)

    async def _run(
        self,
        plan: Plan,
        call: Callable[[LLMProvider], Awaitable[T]],
        discard: Callable[[T], Awaitable[None]],
    ) -> _Opened[T]:
        try:
            async with asyncio.timeout_at(plan.deadline):
                if plan.route.hedge_after is None:
                    return await self._ask(plan, plan.next, call)
                return await self._hedge(plan, plan.route.hedge_after, call, discard)
        except TimeoutError as error:
            raise LLMTimeoutError(log_detail="the deadline has passed") from error

    async def _hedge(
        self,
        plan: Plan,
        after_seconds: float,
        call: Callable[[LLMProvider], Awaitable[T]],
        discard: Callable[[T], Awaitable[None]],
    ) -> _Opened[T]:
        async def put_away(loser: _Opened[T]) -> None:
            loser.attempt.end()
            plan.trace.came_second(loser.attempt.target)
            await discard(loser.result)

        async def ask_another() -> _Opened[T]:
            step = plan.alternative()
            if step is None:
                raise LLMTimeoutError(log_detail="there is nobody else to ask")
            return await self._ask(plan, lambda: step, call)

        return await hedged(
            lambda: self._ask(plan, plan.next, call),
            ask_another,
            after_seconds,
            put_away,
        )

    async def _ask(
        self,
        plan: Plan,
        begin: Callable[[], Step | None],
        call: Callable[[LLMProvider], Awaitable[T]],
    ) -> _Opened[T]:
        """Ask one deployment after the other until one answers."""
        step = begin()
        while step is not None:
            if step.wait_seconds:
                await self._sleep(step.wait_seconds)
            try:
                return await self._attempt(plan, step, call)
            except APIError as error:
                plan.failed(step, error)
                failed, step = step, plan.next()
                if step is not None and not plan.route.are_equal(
                    failed.deployment, step.deployment
                ):
                    _log.warning(
                        "llm_fallback",
                        provider=failed.target.provider,
                        code=error.code,
                        to=str(step.target),
                    )
        raise plan.take_problem()

    async def _attempt(
        self, plan: Plan, step: Step, call: Callable[[LLMProvider], Awaitable[T]]
    ) -> _Opened[T]:
        target = step.target
        policy, route = self._policy, plan.route
        # Others may have failed there while this call was waiting.
        if step.wait_seconds and (pause := policy.health.pause_of(target)):
            raise pause.error
        provider = self._factory.get_provider(
            target.provider, target.model, route.timeouts
        )
        attempt = policy.health.begin(target, provider.has_key)
        try:
            result = await _within(plan.share_seconds(), call(provider))
        except TimeoutError as error:
            raise book_silence(plan, step, attempt) from error
        except asyncio.CancelledError as error:
            if _now() >= plan.deadline:
                book_silence(plan, step, attempt)
            else:
                book(plan.trace, step, attempt, error)
            raise
        except BaseException as error:
            if isinstance(error, LLMAPIError):
                error.provider = error.provider or target.provider
            book(plan.trace, step, attempt, error)
            raise
        policy.budget.succeeded(target.provider, step.is_retry)
        book(plan.trace, step, attempt)
        return _Opened(attempt, step, result)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _within(seconds: float | None, answer: Awaitable[T]) -> T:
    if seconds is None:
        return await answer
    async with asyncio.timeout(seconds):
        return await answer


async def _close(opened: tuple[Sequence[T], Batches[T]]) -> None:
    await opened[1].aclose()


def _unless_filtered(
    call: Callable[[LLMProvider], Awaitable[T]],
) -> Callable[[LLMProvider], Awaitable[T]]:
    async def ask(provider: LLMProvider) -> T:
        answer = await call(provider)
        if is_filtered(answer):
            raise LLMContentFilteredError
        return answer

    return ask


async def _forget(_: object) -> None:
    """Put away a complete answer, of which nothing is left open."""

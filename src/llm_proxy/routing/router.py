"""The one loop in which calls are attempted, retried and sent elsewhere."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_exponential,
    wait_random,
)

from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    LLMAPIError,
    LLMBadResponseError,
    LLMContentFilteredError,
    LLMTimeoutError,
    ProviderNotConfiguredError,
    UnsupportedFeatureError,
)
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.routing.health import Health
from llm_proxy.routing.route import Route, Target
from llm_proxy.telemetry import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the same request is sent again.

    Attributes:
        multiplier: Seconds of the first step of the exponential.
        min_seconds: The shortest wait.
        max_seconds: The longest wait, jitter aside.
        jitter_seconds: At most this much is added, at random.
        retry_after_max_seconds: The longest wait that an upstream may ask for.
    """

    multiplier: float = 1.0
    min_seconds: float = 4.0
    max_seconds: float = 10.0
    jitter_seconds: float = 1.0
    retry_after_max_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """A complete answer and who gave it."""

    target: Target
    answer: T


@dataclass(frozen=True, slots=True)
class OpenStream(Generic[T]):
    """A stream that has begun to answer.

    Attributes:
        target: Who answers.
        first: What came up to the first content.
        rest: What follows; it must be iterated to its end or closed.
    """

    target: Target
    first: Sequence[T]
    rest: AsyncGenerator[Sequence[T], None]


class Router:
    """Finds a deployment that answers.

    Args:
        factory: Makes the providers.
        health: Knows which deployments are cooling down.
        backoff: How long to wait between attempts.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        factory: ProviderFactory,
        health: Health,
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._factory = factory
        self._health = health
        self._backoff = backoff
        self._sleep = sleep
        self._wait = wait_exponential(
            multiplier=backoff.multiplier,
            min=backoff.min_seconds,
            max=backoff.max_seconds,
        ) + wait_random(0, backoff.jitter_seconds)

    async def ask(
        self, route: Route, call: Callable[[LLMProvider], Awaitable[T]]
    ) -> Reply[T]:
        """Get a complete answer.

        Args:
            route: Where the call may go.
            call: Asks one provider once.

        Returns:
            The first answer that anybody gives.

        Raises:
            APIError: The last target's last error.
        """
        return Reply(*await self._run(route, call))

    async def open(
        self,
        route: Route,
        call: Callable[[LLMProvider], AsyncGenerator[Sequence[T], None]],
        has_content: Callable[[T], bool],
    ) -> OpenStream[T]:
        """Open a stream; it counts as an answer once its first content has come.

        Args:
            route: Where the call may go.
            call: Asks one provider once.
            has_content: Tells content from what only announces it.

        Returns:
            The stream; from here on nothing is retried.

        Raises:
            APIError: The last target's last error.
        """
        target, (first, rest) = await self._run(
            route, lambda provider: _first_content(call(provider), has_content)
        )
        return OpenStream(target, first, rest)

    async def _run(
        self, route: Route, call: Callable[[LLMProvider], Awaitable[T]]
    ) -> tuple[Target, T]:
        deadline = asyncio.get_running_loop().time() + route.deadline_seconds
        problem: APIError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                for number, target in enumerate(route.targets):
                    if problem is not None:
                        before = route.targets[number - 1].provider
                        _log.warning("llm_fallback", provider=before, code=problem.code)
                    try:
                        return target, await self._ask(target, route, deadline, call)
                    except LLMContentFilteredError:
                        # To go around a provider's filter is not ours to decide.
                        raise
                    except UnsupportedFeatureError as error:
                        # The failure of one who can says more.
                        problem = problem or error
                    except (LLMAPIError, ProviderNotConfiguredError) as error:
                        problem = error
        except TimeoutError as error:
            raise LLMTimeoutError(log_detail="the deadline has passed") from error
        raise problem or LLMTimeoutError(log_detail="nobody was asked")

    async def _ask(
        self,
        target: Target,
        route: Route,
        deadline: float,
        call: Callable[[LLMProvider], Awaitable[T]],
    ) -> T:
        """Ask one target, again while its failures are transient and time is left."""
        try:
            return await self._attempt(target, route, call)
        except LLMAPIError as error:
            if not error.transient:
                raise
            failed = [error]
        now = asyncio.get_running_loop().time

        async def attempt() -> T:
            # The first attempt is made above, so that a call which needs no retry does
            # not pay for the machinery; here it is told again.
            if failed:
                raise failed.pop()
            return await self._attempt(target, route, call)

        retrying = AsyncRetrying(
            sleep=self._sleep,
            wait=self._seconds_to_wait,
            stop=lambda state: (
                state.attempt_number >= route.attempts
                or now() + state.upcoming_sleep >= deadline
            ),
            retry=retry_if_exception(_is_transient),
            reraise=True,
        )
        return await retrying(attempt)

    async def _attempt(
        self,
        target: Target,
        route: Route,
        call: Callable[[LLMProvider], Awaitable[T]],
    ) -> T:
        provider = self._factory.get_provider(target.provider, target.model)
        self._health.admit(target)
        try:
            result = await _within(route.first_token_seconds, call(provider), target)
        except LLMAPIError as error:
            self._health.failed(target, error)
            _log.warning(
                "llm_attempt_failed",
                provider=target.provider,
                model=target.model,
                code=error.code,
                detail=error.log_detail,
                retryAfterSeconds=error.retry_after_seconds,
            )
            raise
        except UnsupportedFeatureError:
            raise
        except InvalidInputError:
            # Who refuses a request is alive.
            self._health.succeeded(target)
            raise
        self._health.succeeded(target)
        return result

    def _seconds_to_wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, LLMAPIError) and error.retry_after_seconds is not None:
            return min(error.retry_after_seconds, self._backoff.retry_after_max_seconds)
        return self._wait(state)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, LLMAPIError) and error.transient


async def _within(seconds: float | None, awaitable: Awaitable[T], target: Target) -> T:
    if seconds is None:
        return await awaitable
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError as error:
        raise LLMTimeoutError(
            provider=target.provider, log_detail="no text in time"
        ) from error


async def _first_content(
    batches: AsyncGenerator[Sequence[T], None], has_content: Callable[[T], bool]
) -> tuple[list[T], AsyncGenerator[Sequence[T], None]]:
    first: list[T] = []
    async for batch in batches:
        first.extend(batch)
        if any(map(has_content, batch)):
            return first, batches
    raise LLMBadResponseError(log_detail="the stream ended without content")

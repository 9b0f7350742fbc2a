"""What comes of asking: a complete answer, or a stream that has begun."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMContentFilteredError,
    LLMTimeoutError,
)
from llm_proxy.routing.health import Attempt
from llm_proxy.routing.plan import Plan
from llm_proxy.routing.route import Route, Target
from llm_proxy.routing.step import Step
from llm_proxy.types import FILTERED

T = TypeVar("T")

Batches = AsyncGenerator[Sequence[T], None]


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """A complete answer and who gave it."""

    target: Target
    answer: T


@dataclass(slots=True)
class Source:
    """Where a stream comes from at present.

    Attributes:
        attempt: To be ended by whoever ends the stream, with what went wrong.
        step: What led to it.
        plan: Who could be asked instead.
    """

    attempt: Attempt
    step: Step
    plan: Plan

    @property
    def target(self) -> Target:
        """Who answers."""
        return self.attempt.target


@dataclass(frozen=True, slots=True)
class OpenStream(Generic[T]):
    """A stream that has begun to answer.

    Attributes:
        first: What came up to the first content.
        rest: What follows; it must be iterated to its end or closed.
        source: Where it comes from.
    """

    first: Sequence[T]
    rest: Batches[T]
    source: Source


def is_filtered(said: object) -> bool:
    """Say whether a provider's content filter has ended an answer.

    Args:
        said: The answer, or a piece of it.

    Returns:
        Whether it says so as its reason to end.
    """
    return getattr(said, "finish_reason", None) in FILTERED


async def begin(
    route: Route, batches: Batches[T], has_content: Callable[[T], bool]
) -> tuple[list[T], Batches[T]]:
    """Wait until a stream has begun to answer.

    Args:
        route: Says for how long, and what is no answer.
        batches: The stream.
        has_content: Tells content from what only announces it.

    Returns:
        What has come up to then, and the stream for the rest.

    Raises:
        LLMTimeoutError: Nothing has come in time.
        LLMContentFilteredError: A filter has taken it, and others may be asked.
        LLMBadResponseError: The stream has ended before.
    """
    try:
        async with asyncio.timeout(route.timeouts.first_token):
            first = await _first_content(batches, has_content)
    except TimeoutError as error:
        raise LLMTimeoutError(log_detail="no text in time") from error
    if route.reroutes_filtered and any(map(is_filtered, first)):
        await batches.aclose()
        raise LLMContentFilteredError
    return first, batches


async def _first_content(
    batches: Batches[T], has_content: Callable[[T], bool]
) -> list[T]:
    first: list[T] = []
    async for batch in batches:
        first.extend(batch)
        if any(map(has_content, batch)):
            return first
    raise LLMBadResponseError(log_detail="the stream ended without content")

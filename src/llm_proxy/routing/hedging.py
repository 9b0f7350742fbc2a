"""A second attempt beside one that is silent: the first answer wins."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from llm_proxy.errors import APIError
from llm_proxy.telemetry import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


async def hedged(
    ask: Callable[[], Coroutine[Any, Any, T]],
    ask_another: Callable[[], Coroutine[Any, Any, T]],
    after_seconds: float,
    discard: Callable[[T], Awaitable[None]],
) -> T:
    """Ask, and ask another one if there is no answer for a while.

    Dean and Barroso, "The Tail at Scale", 2013, hedged requests.

    Args:
        ask: Asks.
        ask_another: Asks somebody else; fails if there is nobody.
        after_seconds: How long to wait before.
        discard: Puts away an answer that came second.

    Returns:
        The first answer.

    Raises:
        APIError: Of the first question, if neither is answered.
    """
    first = asyncio.create_task(ask())
    tasks = {first}
    try:
        done, _ = await asyncio.wait(tasks, timeout=after_seconds)
        if not done:
            tasks.add(asyncio.create_task(ask_another()))
        while pending := {task for task in tasks if not task.done()}:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if any(_has_answered(task) for task in tasks):
                break
        winner = next(filter(_has_answered, tasks), first)
        tasks.discard(winner)
        return winner.result()
    finally:
        await _put_away(tasks, discard)


def _has_answered(task: "asyncio.Task[T]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _put_away(
    tasks: "set[asyncio.Task[T]]", discard: Callable[[T], Awaitable[None]]
) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            await discard(outcome)
        elif not isinstance(outcome, APIError | asyncio.CancelledError):
            _log.error("unhandled_exception", exc_info=outcome)

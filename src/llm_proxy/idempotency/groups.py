"""Lets callers share transactions, which cost much more than what is in them."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_log = get_logger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_CLOSE_SECONDS = 2.0


class Groups(Generic[_Item, _Result]):
    """Does for many at a time what each of them asks for.

    While groups are under way the next one gathers. Whoever stops waiting before his
    group begins is left out of it; later, what he has asked for is still done.

    Args:
        act: Does what a group asks for, all of it or nothing; gives one result each.
        places: How many groups may be under way.
        most: What an item may weigh together with those before it in its group.
        weigh: Says what an item weighs; all weigh 1 without it.
        unheard: Is told of each item that is done, or may be, without its caller having
            heard of it.
    """

    def __init__(
        self,
        act: Callable[[Sequence[_Item]], Awaitable[Sequence[_Result]]],
        *,
        places: int,
        most: int,
        weigh: Callable[[_Item], int] = lambda _: 1,
        unheard: Callable[[_Item], None] = lambda _: None,
    ) -> None:
        self._act = act
        self._places = places
        self._most = most
        self._weigh = weigh
        self._unheard = unheard
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._working: set[asyncio.Task[None]] = set()

    async def ask(self, item: _Item) -> _Result:
        """Ask for something, together with others.

        Args:
            item: What to do.

        Returns:
            The result of it.

        Raises:
            StorageUnavailableError: It is not done, or nobody can tell.
        """
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append((item, asked))
        if len(self._working) < self._places:
            # In a context of its own: its log lines are not those of a request.
            self._working.add(loop.create_task(self._work(), context=Context()))
        try:
            return await asked
        except asyncio.CancelledError:
            if not asked.cancelled():
                self._unheard(item)
            raise

    async def aclose(self) -> None:
        """Wait a moment for what is under way."""
        if working := tuple(self._working):
            await asyncio.wait(working, timeout=_CLOSE_SECONDS)
            for task in working:
                task.cancel()
            await asyncio.wait(working)

    async def _work(self) -> None:
        """Do group after group, until nobody waits."""
        # A coroutine always runs in a task.
        task = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            while group := self._next():
                await self._do(group)
        finally:
            self._working.remove(task)

    def _next(self) -> list[tuple[_Item, asyncio.Future[_Result]]]:
        group = []
        weight = 0
        while self._waiting and weight < self._most:
            item, asked = self._waiting.popleft()
            if not asked.done():
                group.append((item, asked))
                weight += self._weigh(item)
        return group

    async def _do(self, group: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        try:
            results = await self._act([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - callers wait for an answer
            detail = getattr(error, "log_detail", "")
            if not isinstance(error, StorageUnavailableError):
                detail = type(error).__name__
                _log.error("idempotency_failed", reason=detail)
            for item, asked in group:
                self._unheard(item)
                _refuse(asked, detail)
            return
        for (item, asked), result in zip(group, results, strict=True):
            if asked.done():
                self._unheard(item)
            else:
                asked.set_result(result)


def _refuse(asked: asyncio.Future[_Result], reason: str) -> None:
    if not asked.done():
        asked.set_exception(StorageUnavailableError(log_detail=reason))
        # Read once, so that nobody complains if the caller has just left.
        asked.exception()

"""Puts the questions of many requests into few queries."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar

from llm_proxy.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

_T = TypeVar("_T")

MAX_GROUP = 500
_MAX_ASKED = 10_000


class Lookups(Generic[_T]):
    """Asks for names, one query at a time; meanwhile the next ones gather.

    A crowd that asks for one name, or a flood of made-up ones, takes one connection and
    a bounded memory.

    Args:
        load: Finds the values of some names; those that have none are left out.
    """

    def __init__(
        self, load: Callable[[Sequence[str]], Awaitable[Mapping[str, _T]]]
    ) -> None:
        self._load = load
        self._asked: dict[str, asyncio.Future[_T | None]] = {}
        self._queued: list[str] = []
        self._working: asyncio.Task[None] | None = None

    async def find(self, name: str) -> _T | None:
        """Find the value of a name.

        Args:
            name: What is asked for.

        Returns:
            The value, or None if there is none.

        Raises:
            StorageUnavailableError: Too many wait already, or nothing more is asked;
                besides whatever the query raises.
        """
        answer = self._asked.get(name) or self._ask(name)
        # Others may wait for it as well.
        return await asyncio.shield(answer)

    async def aclose(self) -> None:
        """Give up what is under way."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        self._queued.clear()
        self._fail([*self._asked], StorageUnavailableError(log_detail="closed"))

    def _ask(self, name: str) -> asyncio.Future[_T | None]:
        if len(self._asked) >= _MAX_ASKED:
            raise StorageUnavailableError(log_detail="too many look-ups wait")
        loop = asyncio.get_running_loop()
        answer = self._asked[name] = loop.create_future()
        self._queued.append(name)
        if self._working is None or self._working.done():
            # In a context of its own: it works for other requests as well.
            self._working = loop.create_task(self._work(), context=Context())
        return answer

    async def _work(self) -> None:
        while self._queued:
            names = self._queued[:MAX_GROUP]
            del self._queued[:MAX_GROUP]
            try:
                found = await self._load(names)
            except Exception as error:  # noqa: BLE001 - it is for those who wait
                self._fail(names, error)
            else:
                for name in names:
                    self._asked.pop(name).set_result(found.get(name))

    def _fail(self, names: Sequence[str], error: Exception) -> None:
        for name in names:
            answer = self._asked.pop(name)
            answer.set_exception(error)
            # Read once, so that nobody complains if all who waited have gone.
            answer.exception()

"""What was spent before anybody has counted it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context

from llm_proxy.limits.claim import Claim
from llm_proxy.types import Subject

# Billionths of a US dollar that somebody has spent in a period.
Spending = Callable[[Subject, str], Awaitable[int]]


class Figures:
    """Asks for each figure once, however many calls wait for it.

    Args:
        spending: Knows what was spent; None if nobody does, and all begin at nothing.
    """

    def __init__(self, spending: Spending | None) -> None:
        self._spending = spending
        self._asked: dict[str, asyncio.Task[int]] = {}

    async def of(self, claims: Iterable[Claim]) -> dict[str, int]:
        """Find where counters of money start.

        Args:
            claims: Of money.

        Returns:
            What was spent, by `Claim.counter`.

        Raises:
            StorageUnavailableError: Nobody can tell.
        """
        spending = self._spending
        if spending is None:
            return {claim.counter: 0 for claim in claims}
        asked = {claim.counter: self._ask(claim, spending) for claim in claims}
        # Whoever stops waiting must not take the figure from the others.
        return {name: await asyncio.shield(task) for name, task in asked.items()}

    def _ask(self, claim: Claim, spending: Spending) -> asyncio.Task[int]:
        name = claim.counter

        async def ask() -> int:
            try:
                return await spending(claim.subject, claim.period)
            finally:
                del self._asked[name]

        task = self._asked.get(name)
        if task is None:
            # In a context of its own: its log lines are not those of the call that came
            # first.
            task = asyncio.get_running_loop().create_task(ask(), context=Context())
            task.add_done_callback(_read)
            self._asked[name] = task
        return task


def _read(task: asyncio.Task[int]) -> None:
    """Read the error, so that nobody complains if all who asked have gone."""
    if not task.cancelled():
        task.exception()

"""What is read on of answers that nobody waits for."""

import asyncio
from collections.abc import Collection, Coroutine


class Lingering:
    """Keeps the work that callers have left behind.

    Args:
        providers: Those whose streams are read to their end although the caller has
            hung up, because they are billed whole.
    """

    def __init__(self, providers: Collection[str] = ()) -> None:
        self._providers = frozenset(providers)
        self._tasks: set[asyncio.Task[None]] = set()

    def wants(self, provider: str) -> bool:
        """Say whether a provider's streams are read on.

        Args:
            provider: Its name.

        Returns:
            Whether to `start` that, in place of closing the stream.
        """
        return provider in self._providers

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Do what is left of a call.

        Args:
            work: Ends by itself, and settles the call also when it is cancelled.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop all of it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

"""How many calls may run at a time, and how many may wait for their turn."""

import asyncio
import math
from collections import deque
from contextlib import suppress

from llm_proxy.errors import OverloadedError

# What a caller who is refused should wait, in seconds.
_RETRY_AFTER_SECONDS = 1.0


class Places:
    """Places for calls under way; whoever finds none waits a while in a short queue.

    A place that becomes free goes to who has waited longest, so newcomers do not
    overtake.

    Args:
        most: Calls that may run at a time.
        most_waiting: Calls that may wait; more are refused at once.
        seconds: How long one waits.

    Attributes:
        taken: Calls that run now.
    """

    def __init__(self, most: int, most_waiting: int, seconds: float) -> None:
        self.taken = 0
        self._most = most
        self._most_waiting = most_waiting
        self._seconds = seconds
        self._queue: deque[asyncio.Future[None]] = deque()

    def check(self) -> None:
        """Refuse a caller early, before anything is read of what it wants.

        Raises:
            OverloadedError: Nobody can even wait.
        """
        if self.taken >= self._most and len(self._queue) >= self._most_waiting:
            raise OverloadedError(retry_after_seconds=_RETRY_AFTER_SECONDS)

    async def take(self, seconds: float = math.inf) -> None:
        """Take a place; it must be given back.

        Args:
            seconds: How long this call can wait, if that is less than usual.

        Raises:
            OverloadedError: There was none in time, or too many wait for one.
        """
        if self.taken < self._most:
            self.taken += 1
            return
        self.check()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(min(seconds, self._seconds)):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came at the very moment of giving up.
                self.give_back()
            with suppress(ValueError):
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise OverloadedError(
                    retry_after_seconds=_RETRY_AFTER_SECONDS
                ) from error
            raise

    def give_back(self) -> None:
        """Give a place back, to the next who waits."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

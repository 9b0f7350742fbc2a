"""One call answers for all that ask the same at the same time."""

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from llm_proxy.errors import InvalidInputError

T = TypeVar("T")


class Lead(Generic[T]):
    """The right to ask, while others wait for the answer; it must be landed.

    Args:
        queue: Those who wait.
        leave: Makes whoever comes next ask anew.
    """

    def __init__(self, queue: "deque[_Turn]", leave: Callable[[], object]) -> None:
        self._queue = queue
        self._leave = leave
        self._has_landed = False

    def land(self, answer: T) -> None:
        """Give the answer to all who wait; only the first landing counts.

        Args:
            answer: The answer.
        """
        if self._ends():
            self._leave()
            for turn in self._queue:
                _give(turn, answer)

    def fail(self, error: BaseException | None = None) -> None:
        """Land without an answer: the next of those who wait asks.

        Args:
            error: Why. A mistake in the question is in all that ask the same, so they
                are told; whatever else has gone wrong may go well for the next.
        """
        if not self._ends():
            return
        if isinstance(error, InvalidInputError):
            self._leave()
            for turn in self._queue:
                # Each raises one of its own: an error collects where it has been.
                _give(turn, copy.copy(error))
            return
        while self._queue:
            if _give(self._queue.popleft(), Lead(self._queue, self._leave)):
                return
        self._leave()

    def _ends(self) -> bool:
        is_first, self._has_landed = not self._has_landed, True
        return is_first


# Its result is an answer, a `Lead`, or an `InvalidInputError`.
_Turn = asyncio.Future[Any]


class Flights(Generic[T]):
    """Lets one of those ask who ask the same, and the others wait.

    Args:
        ended: Is told what was asked, once nobody asks it any more.
    """

    def __init__(self, ended: Callable[[str], object] = str) -> None:
        self._ended = ended
        self._waiting: dict[str, deque[_Turn]] = {}

    async def join(self, key: str, seconds: float) -> T | Lead[T] | None:
        """Ask, or wait for somebody who asks already.

        Args:
            key: What is asked.
            seconds: How long to wait.

        Returns:
            The answer of another; or the lead, for whoever has to ask; or None once
            the time is over, for whoever asks without regard to others.

        Raises:
            InvalidInputError: Another has asked, and the question is a mistake.
        """
        queue = self._waiting.get(key)
        if queue is None:
            queue = self._waiting[key] = deque()
            return Lead(queue, partial(self._end, key))
        turn: _Turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            if turn.cancelled():
                return None
        except asyncio.CancelledError:
            # It came at the very moment of giving up, and another must have it.
            if not turn.cancelled() and isinstance(lead := turn.result(), Lead):
                lead.fail()
            raise
        finally:
            with suppress(ValueError):
                queue.remove(turn)
        landed: T | Lead[T] | InvalidInputError = turn.result()
        if isinstance(landed, InvalidInputError):
            raise landed
        return landed

    def _end(self, key: str) -> None:
        del self._waiting[key]
        self._ended(key)


def _give(turn: _Turn, what: object) -> bool:
    """Wake one who waits, unless he has given up."""
    if turn.done():
        return False
    turn.set_result(what)
    return True

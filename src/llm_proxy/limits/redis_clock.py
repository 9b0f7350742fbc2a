"""The clock of Redis, as its answers show it."""

import time
from collections.abc import Callable

_MICROSECONDS = 1_000_000


class RedisClock:
    """Says when it will be too late for something, by the clock of Redis.

    It never says too early a moment, unless the clock of Redis was moved. Before the
    first answer it knows nothing, and says one long ago.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Return the time by our own clock, in seconds."""
        return self._clock()

    def deadline(self, seconds: float) -> int:
        """Say which time Redis will have.

        Args:
            seconds: How long from now on.

        Returns:
            Microseconds since the epoch.
        """
        at = self._clock() + seconds + self._ahead_seconds
        return round(at * _MICROSECONDS)

    def learn(self, asked_at: float, micros: int) -> None:
        """Take note of the time that an answer shows.

        Args:
            asked_at: When the question was asked, by our own clock. The answer was
                given later, so that Redis is at most that far ahead.
            micros: Microseconds since the epoch.
        """
        self._ahead_seconds = micros / _MICROSECONDS - asked_at

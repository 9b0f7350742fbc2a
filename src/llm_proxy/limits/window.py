"""Exact moving windows in memory, as a storage for `limits` and slowapi.

The memory storage of `limits` starts a thread after each hit that walks over every key.
This one costs the same however many clients there are: it forgets idle clients a few at
a time, when others call.
"""

import time
from collections import deque
from collections.abc import Callable

from limits.storage import MovingWindowSupport, Storage

SCHEME = "window"
_FORGET_PER_HIT = 2


class WindowStorage(Storage, MovingWindowSupport):
    """Keeps, per key, the times of the hits that still count.

    Args:
        uri: ``window://``; the scheme is all that is read.
        wrap_exceptions: As `limits` defines it; nothing here fails.
        clock: Seconds since the epoch.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - limits fixes the type

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        self._clock = clock
        # Per key: when its last hit stops to count, and the times of its hits. The keys
        # stand in the order of their last hits.
        self._windows: dict[str, tuple[float, deque[float]]] = {}

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors that mean "the storage failed"."""
        return ()

    def take(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> tuple[bool, float, int]:
        """Count hits if there is room, and look, in one go.

        Args:
            key: Whose window.
            limit: The most hits in a window.
            expiry: Seconds that a hit counts.
            amount: How many hits.

        Returns:
            Whether they were counted, when the oldest hit happened in seconds since the
            epoch, and how many hits count now.
        """
        now = self._clock()
        self._forget(now)
        hits = self._live(key, now, expiry)
        taken = len(hits) + amount <= limit
        if taken:
            hits.extend([now] * amount)
            self._windows.pop(key, None)
            self._windows[key] = (now + expiry, hits)
        return taken, (hits[0] if hits else now), len(hits)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count hits if the window has room for them.

        Args:
            key: Whose window.
            limit: The most hits in a window.
            expiry: Seconds that a hit counts.
            amount: How many hits.

        Returns:
            Whether they were counted.
        """
        return self.take(key, limit, expiry, amount)[0]

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Say how full a window is.

        Args:
            key: Whose window.
            limit: Not needed here.
            expiry: Seconds that a hit counts.

        Returns:
            When the oldest hit happened, in seconds since the epoch, and how many hits
            count.
        """
        now = self._clock()
        hits = self._live(key, now, expiry)
        return (hits[0] if hits else now), len(hits)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count hits without a limit; returns how many count now."""
        now = self._clock()
        hits = self._live(key, now, expiry)
        hits.extend([now] * amount)
        self._windows[key] = (now + expiry, hits)
        return len(hits)

    def get(self, key: str) -> int:
        """Return how many hits are held."""
        return len(self._windows[key][1]) if key in self._windows else 0

    def get_expiry(self, key: str) -> float:
        """Return when the last hit stops to count, in seconds since the epoch."""
        return self._windows[key][0] if key in self._windows else self._clock()

    def check(self) -> bool:
        """Return that the storage works."""
        return True

    def reset(self) -> int:
        """Forget everything; returns how many windows there were."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one window."""
        self._windows.pop(key, None)

    def _live(self, key: str, now: float, expiry: int) -> deque[float]:
        window = self._windows.get(key)
        if window is None:
            return deque()
        hits = window[1]
        while hits and hits[0] <= now - expiry:
            hits.popleft()
        return hits

    def _forget(self, now: float) -> None:
        for _ in range(_FORGET_PER_HIT):
            oldest = next(iter(self._windows), None)
            if oldest is None or self._windows[oldest][0] > now:
                return
            del self._windows[oldest]

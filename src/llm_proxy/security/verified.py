"""Remembers which tokens are good, so that each is checked once and not per request."""

import hashlib
import time
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

from cachebox import LRUCache

from llm_proxy.security.signed_token import MAX_TOKEN_LENGTH

_T = TypeVar("_T")


class Verified(Generic[_T]):
    """What good tokens say, until they expire.

    They are known by the SHA-256 of the whole token: by a part of it, somebody could
    make a token that is taken for another's (CVE-2026-35030).

    Args:
        max_tokens: The most that are remembered; the least used one goes first.
        max_seconds: How long at most.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        max_tokens: int = 10_000,
        max_seconds: float = inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kept: LRUCache[bytes, tuple[float, _T]] = LRUCache(max_tokens)
        self._max_seconds = max_seconds
        self._clock = clock

    def find(self, token: str) -> _T | None:
        """Look up what a token says.

        Args:
            token: As the caller sent it; any text.

        Returns:
            What was added with it; None if nothing was, or it has expired.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            return None
        until, value = self._kept.get(_digest(token), (0.0, None))
        return value if self._clock() < until else None

    def add(self, token: str, value: _T, expires_at: float) -> None:
        """Remember a token that is good.

        Args:
            token: As the caller sent it.
            value: What it says.
            expires_at: Until when, in seconds since the epoch.
        """
        until = min(expires_at, self._clock() + self._max_seconds)
        self._kept[_digest(token)] = (until, value)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

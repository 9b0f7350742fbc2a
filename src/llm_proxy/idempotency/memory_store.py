"""Claims and answers in the memory of one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from llm_proxy.idempotency.store import (
    KEPT_SECONDS,
    LEASE_SECONDS,
    Claim,
    Earlier,
    SavedAnswer,
)

# About what the objects around a short answer take.
_ENTRY_BYTES = 1024


@dataclass(slots=True)
class _Entry:
    """What is known of a key."""

    claim: Claim
    request: str
    expires_at: float
    answer: SavedAnswer | None = None

    @property
    def size(self) -> int:
        return _ENTRY_BYTES + (len(self.answer.body) if self.answer else 0)


class MemoryStore:
    """A `Store` for where there is no database.

    Claims are as many as requests under way. Answers are bounded: the oldest one is the
    first to go, whether it was asked for again or not.

    Args:
        max_bytes: Bytes of answers to keep.
        clock: Seconds since the epoch.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._claimed: dict[str, _Entry] = {}
        # In the order in which they expire.
        self._answered: dict[str, _Entry] = {}

    async def claim(self, key: str, request: str) -> Claim | Earlier:
        """Claim a key; see `Store.claim`."""
        self._forget()
        entry = self._answered.get(key) or self._claimed.get(key)
        if entry is not None and entry.expires_at > self._clock():
            return Earlier(entry.request, entry.answer)
        claim = Claim(key)
        expires_at = self._clock() + LEASE_SECONDS
        self._claimed[key] = _Entry(claim, request, expires_at)
        return claim

    async def renew(self, claim: Claim) -> bool:
        """Let a claim last; see `Store.renew`."""
        entry = self._find(claim)
        if entry is not None:
            entry.expires_at = self._clock() + LEASE_SECONDS
        return entry is not None

    async def save(self, claim: Claim, answer: SavedAnswer) -> bool:
        """Put an answer in the place of a claim; see `Store.save`."""
        entry = self._find(claim)
        if entry is None:
            return False
        del self._claimed[claim.key]
        entry.answer = answer
        entry.expires_at = self._clock() + KEPT_SECONDS
        self._answered[claim.key] = entry
        self._bytes += entry.size
        self._forget()
        return True

    def release(self, claim: Claim) -> None:
        """Give a claim up; see `Store.release`."""
        if self._find(claim) is not None:
            del self._claimed[claim.key]

    def _find(self, claim: Claim) -> _Entry | None:
        entry = self._claimed.get(claim.key)
        return entry if entry is not None and entry.claim == claim else None

    def _forget(self) -> None:
        """Drop the answers that have expired, and those for which there is no room."""
        now = self._clock()
        while self._answered:
            key, entry = next(iter(self._answered.items()))
            if entry.expires_at > now and self._bytes <= self._max_bytes:
                break
            del self._answered[key]
            self._bytes -= entry.size

"""Answers that are kept in this process."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from cachebox import LRUCache

from llm_proxy.cache.entry import Entry
from llm_proxy.cache.store import COUNTING_SECONDS

# What an entry takes besides its body, as measured.
_OVERHEAD_BYTES = 1200
# Questions that are counted; of more, those that were not asked for longest are
# forgotten.
_MOST_COUNTED = 65_536

_Place = tuple[str, str]


class _Kept(NamedTuple):
    entry: Entry
    until: float


class _Count(NamedTuple):
    times: int
    until: float


class MemoryStore:
    """Keeps entries in this process, up to a number of bytes.

    Where there is no place for another entry, those go that were not asked for longest.
    cachebox's own caches with a time to live would let those go that end soonest, so
    the time stands beside the entry.

    Args:
        max_bytes: Bytes of all entries together.
        clock: Tells seconds.
    """

    def __init__(
        self, max_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._entries: LRUCache[_Place, _Kept] = LRUCache(max_bytes, getsizeof=_size)
        self._counts: LRUCache[_Place, _Count] = LRUCache(_MOST_COUNTED)

    async def get(self, tenant: str, key: str) -> Entry | None:
        """Look for an entry."""
        kept: _Kept | None = self._entries.get((tenant, key))
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._entries.pop((tenant, key), None)
            return None
        return kept.entry

    async def put(
        self, tenant: str, key: str, entry: Entry, ttl_seconds: float
    ) -> None:
        """Keep an entry, in the place of others if there is no other place."""
        kept = _Kept(entry, self._clock() + ttl_seconds)
        # It raises this for what is larger than all of its room.
        with suppress(OverflowError):
            self._entries.insert((tenant, key), kept)

    async def seen(self, tenant: str, key: str) -> int:
        """Count a question."""
        place, now = (tenant, key), self._clock()
        count: _Count | None = self._counts.get(place)
        if count is None or count.until <= now:
            count = _Count(0, now + COUNTING_SECONDS)
        count = _Count(count.times + 1, count.until)
        self._counts.insert(place, count)
        return count.times

    async def purge(self, tenant: str | None) -> int:
        """Forget entries."""
        places = [place for place in self._entries if tenant in (None, place[0])]
        for place in places:
            self._entries.pop(place, None)
        return len(places)


def _size(place: _Place, kept: _Kept) -> int:
    tenant, key = place
    return _OVERHEAD_BYTES + len(key) + sys.getsizeof(tenant) + len(kept.entry.body)

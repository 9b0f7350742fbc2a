"""Answers that several processes keep together, in Redis.

Entries cannot be listed without a walk over all that Redis has. So each has two marks
before it, the tenant's and everybody's, and counts only while both are still there:
whoever forgets entries removes a mark, and time removes the entries.
"""

import hashlib
import os

from llm_proxy.cache.entry import Entry, decode_entry, encode_entry
from llm_proxy.cache.store import COUNTING_SECONDS
from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage.redis import Redis, Script

_PREFIX = "{llm-proxy}:cache:"
_EVERYBODY = _PREFIX + "mark"
_MARK_BYTES = 8

# A mark lives as long as the last entry behind it.
_PUT = Script("""
local function mark(key)
  local value = redis.call('GET', key) or ARGV[3]
  if redis.call('PTTL', key) < tonumber(ARGV[2]) then
    redis.call('SET', key, value, 'PX', ARGV[2])
  end
  return value
end
local entry = mark(KEYS[2]) .. mark(KEYS[3]) .. ARGV[1]
redis.call('SET', KEYS[1], entry, 'PX', ARGV[2])
""")
_COUNT = Script("""
local times = redis.call('INCR', KEYS[1])
if times == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return times
""")


class SharedStore:
    """Keeps entries in Redis, for all processes that use the same.

    A Redis that is away or slow has no entries and keeps none.

    Args:
        redis: Where they are.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self, tenant: str, key: str) -> Entry | None:
        """Look for an entry."""
        try:
            return read(await self._redis.execute("MGET", *keys_of(tenant, key)))
        except StorageUnavailableError:
            return None

    async def put(
        self, tenant: str, key: str, entry: Entry, ttl_seconds: float
    ) -> None:
        """Keep an entry."""
        keys = keys_of(tenant, key)
        milliseconds = max(1, round(ttl_seconds * 1000))
        fresh = os.urandom(_MARK_BYTES)
        try:
            await self._redis.run(
                _PUT, keys, (encode_entry(entry), milliseconds, fresh)
            )
        except StorageUnavailableError:
            return

    async def seen(self, tenant: str, key: str) -> int:
        """Count a question."""
        counter = f"{_mark(tenant)}:{key}:times"
        milliseconds = round(COUNTING_SECONDS * 1000)
        try:
            times = await self._redis.run(_COUNT, (counter,), (milliseconds,))
        except StorageUnavailableError:
            return 0
        return times if isinstance(times, int) else 0

    async def purge(self, tenant: str | None) -> int:
        """Forget entries; how many they were nobody knows, so 1 stands for any."""
        mark = _EVERYBODY if tenant is None else _mark(tenant)
        purged = await self._redis.execute("DEL", mark)
        if not isinstance(purged, int):
            raise StorageUnavailableError(log_detail="redis answers something else")
        return purged


def keys_of(tenant: str, key: str) -> tuple[str, str, str]:
    """Name what belongs to an entry.

    Args:
        tenant: Whose it is.
        key: Its `cache_key`.

    Returns:
        The keys of the entry and of its marks.
    """
    mark = _mark(tenant)
    return f"{mark}:{key}", _EVERYBODY, mark


def read(found: object) -> Entry | None:
    """Read an entry.

    Args:
        found: What Redis has for its keys.

    Returns:
        The entry; None if there is none, or it was forgotten.
    """
    match found:
        case [bytes(entry), bytes(everybodys), bytes(own)]:
            marks = everybodys + own
            if entry.startswith(marks):
                return decode_entry(entry[len(marks) :])
    return None


def _mark(tenant: str) -> str:
    """Name the mark of a tenant, who may have any name."""
    return f"{_PREFIX}{hashlib.sha256(tenant.encode()).hexdigest()}"

"""One process calls for all that are asked the same at the same time."""

import asyncio
import secrets
from contextlib import suppress
from contextvars import Context

from llm_proxy.cache.entry import Entry
from llm_proxy.cache.shared import SharedStore, keys_of, read
from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage.redis import Redis, Script

_PREFIX = "{llm-proxy}:cache:asked:"
_RENEWALS_PER_LEASE = 3
_FIRST_PAUSE_SECONDS = 0.05
_MOST_PAUSE_SECONDS = 0.5
# By then whoever waits has looked for it.
_SHOWN_SECONDS = 5.0

# Begins a flight unless there is one; returns its name, and what there is of the entry.
_JOIN = Script("""
local begun = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local flight = begun and ARGV[1] or redis.call('GET', KEYS[1])
return {flight, redis.call('MGET', KEYS[2], KEYS[3], KEYS[4])}
""")
# Once its time is over, it may be somebody else's.
_RENEW = Script("""
for index, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[index + 1] then
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
""")
_END = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")


class SharedFlights:
    """Lets one process ask, and the others wait until its answer is in the store.

    While Redis is away, each process asks for itself.

    Args:
        redis: Knows who is asking.
        store: Where all processes find answers.
        lease_seconds: How long a process is waited for without a sign of it.
    """

    def __init__(
        self, redis: Redis, store: SharedStore, *, lease_seconds: float = 3.0
    ) -> None:
        self._redis = redis
        self._store = store
        self._lease_ms = round(lease_seconds * 1000)
        # The flights of this process, by what is asked.
        self._held: dict[str, str] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def join(self, tenant: str, key: str, seconds: float) -> Entry | None:
        """Ask for all processes, or wait for one that asks already.

        Args:
            tenant: Who asks.
            key: The `cache_key` of the answer.
            seconds: How long to wait.

        Returns:
            The answer of another process; None for whoever has to ask, and to `leave`
            in the end.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        pause = _FIRST_PAUSE_SECONDS
        awaited = ""
        while key not in self._held:
            try:
                flight, entry = await self._find(tenant, key)
            except StorageUnavailableError:
                return None
            if entry is None and awaited not in ("", flight):
                # It has ended since.
                entry = await self._store.get(tenant, _shown(key, awaited))
            if entry is not None or key in self._held or clock() >= until:
                return entry
            awaited = flight
            await asyncio.sleep(min(pause, max(0.0, until - clock())))
            pause = min(2 * pause, _MOST_PAUSE_SECONDS)
        return None

    async def show(self, tenant: str, key: str, entry: Entry) -> None:
        """Give an answer that is not kept to those who wait for it.

        Args:
            tenant: Whose it is.
            key: Its `cache_key`.
            entry: The answer.
        """
        if flight := self._held.get(key):
            await self._store.put(tenant, _shown(key, flight), entry, _SHOWN_SECONDS)

    def leave(self, key: str) -> None:
        """Let another process ask, unless it finds an answer.

        Args:
            key: As for `join`; one that was not joined changes nothing.
        """
        flight = self._held.pop(key, None)
        if flight is not None:
            task = asyncio.get_running_loop().create_task(self._end(key, flight))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _find(self, tenant: str, key: str) -> tuple[str, Entry | None]:
        """Find the flight, or begin one, and the answer to what is asked."""
        flight = self._held[key] = secrets.token_hex(8)
        keys = (_PREFIX + key, *keys_of(tenant, key))
        try:
            said = await self._redis.run(_JOIN, keys, (flight, self._lease_ms))
        except BaseException:
            # Redis may have heard of it all the same.
            self.leave(key)
            raise
        match said:
            case [bytes(found), entry] if found == flight.encode():
                self._keep_renewing()
                return flight, read(entry)
            case [bytes(found), entry]:
                del self._held[key]
                return found.decode("ascii", "replace"), read(entry)
        self.leave(key)
        raise StorageUnavailableError(log_detail="redis answers what no script says")

    def _keep_renewing(self) -> None:
        if self._renewing is None or self._renewing.done():
            # In a context of its own: its log lines are nobody's request's.
            self._renewing = asyncio.get_running_loop().create_task(
                self._renew(), context=Context()
            )

    async def _renew(self) -> None:
        while self._held:
            await asyncio.sleep(self._lease_ms / 1000 / _RENEWALS_PER_LEASE)
            keys = [_PREFIX + key for key in self._held]
            flights = tuple(self._held.values())
            with suppress(StorageUnavailableError):
                await self._redis.run(_RENEW, keys, (self._lease_ms, *flights))

    async def _end(self, key: str, flight: str) -> None:
        # What Redis does not hear now ends by itself.
        with suppress(StorageUnavailableError):
            await self._redis.run(_END, (_PREFIX + key,), (flight,))


def _shown(key: str, flight: str) -> str:
    """Name an answer that only those know who have waited for it."""
    return f"{key}:{flight}"

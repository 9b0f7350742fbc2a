"""One process calls for all that are asked the same at the same time."""

import asyncio
import secrets

from llm_proxy.cache.entry import Entry
from llm_proxy.cache.store import Store
from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage.redis import Redis, Script

_PREFIX = "{llm-proxy}:cache:asked:"
_POLL_SECONDS = 0.1
# By then whoever waits has looked for it.
_SHOWN_SECONDS = 5.0

# Once its time is over, it may be somebody else's.
_GIVE_BACK = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")


class SharedFlights:
    """Lets one process ask, and the others wait until its answer is in the store.

    While Redis is away, each process asks for itself.

    Args:
        redis: Knows who is asking.
        store: Where all processes find answers.
    """

    def __init__(self, redis: Redis, store: Store) -> None:
        self._redis = redis
        self._store = store
        # The flights of this process.
        self._held: dict[str, str] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def join(
        self, tenant: str, key: str, seconds: float, patience_seconds: float
    ) -> Entry | None:
        """Ask for all processes, or wait for one that asks already.

        Args:
            tenant: Who asks.
            key: The `cache_key` of the answer, which is not in the store.
            seconds: How long the answer may take. A process that has died is waited for
                no longer than that.
            patience_seconds: How long to wait.

        Returns:
            The answer of another process; None for whoever has to ask, and to `leave`
            in the end.
        """
        try:
            return await self._join(tenant, key, seconds, patience_seconds)
        except StorageUnavailableError:
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
            task = asyncio.get_running_loop().create_task(self._give_back(key, flight))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _join(
        self, tenant: str, key: str, seconds: float, patience_seconds: float
    ) -> Entry | None:
        clock = asyncio.get_running_loop().time
        until = clock() + patience_seconds
        awaited = ""
        while key not in self._held:
            flight = await self._find_flight(key, seconds)
            # It may have landed since somebody has looked last.
            entry = await self._look(tenant, key, awaited)
            if entry is not None or key in self._held or clock() >= until:
                return entry
            awaited = flight or awaited
            await asyncio.sleep(_POLL_SECONDS)
        return None

    async def _find_flight(self, key: str, seconds: float) -> str:
        """Begin a flight unless there is one; name it, if it has not just landed."""
        flight = self._held[key] = secrets.token_hex(8)
        name = _PREFIX + key
        milliseconds = max(1, round(seconds * 1000))
        command = ("SET", name, flight, "NX", "PX", milliseconds)
        try:
            if await self._redis.execute(*command) is not None:
                return flight
        except BaseException:
            # Redis may have heard of it all the same.
            self.leave(key)
            raise
        del self._held[key]
        found = await self._redis.execute("GET", name)
        return found.decode("ascii", "replace") if isinstance(found, bytes) else ""

    async def _look(self, tenant: str, key: str, awaited: str) -> Entry | None:
        entry = await self._store.get(tenant, key)
        if entry is None and awaited:
            entry = await self._store.get(tenant, _shown(key, awaited))
        return entry

    async def _give_back(self, key: str, flight: str) -> None:
        try:
            await self._redis.run(_GIVE_BACK, (_PREFIX + key,), (flight,))
        except StorageUnavailableError:
            # Its time ends it.
            return


def _shown(key: str, flight: str) -> str:
    """Name an answer that only those know who have waited for it."""
    return f"{key}:{flight}"

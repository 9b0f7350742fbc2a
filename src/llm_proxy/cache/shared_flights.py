"""One process calls for all that are asked the same at the same time."""

import asyncio
import os

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
        self._held: dict[str, bytes] = {}
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
        clock = asyncio.get_running_loop().time
        until = clock() + patience_seconds
        has_waited = False
        while key not in self._held:
            is_first = await self._begin(key, seconds)
            if is_first is None:
                return None
            # It may have come since somebody has looked for it last.
            entry = await self._look(tenant, key, has_waited)
            if entry is not None or is_first or clock() >= until:
                return entry
            has_waited = True
            await asyncio.sleep(_POLL_SECONDS)
        return None

    async def show(self, tenant: str, key: str, entry: Entry) -> None:
        """Give an answer that is not kept to those who wait for it.

        Args:
            tenant: Whose it is.
            key: Its `cache_key`.
            entry: The answer.
        """
        if key in self._held:
            await self._store.put(tenant, _shown(key), entry, _SHOWN_SECONDS)

    def leave(self, key: str) -> None:
        """Let another process ask, unless it finds an answer.

        Args:
            key: As for `join`; one that was not joined changes nothing.
        """
        token = self._held.pop(key, None)
        if token is not None:
            task = asyncio.get_running_loop().create_task(self._give_back(key, token))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _begin(self, key: str, seconds: float) -> bool | None:
        """Say that this process asks; None if nobody can say who does."""
        token = self._held[key] = os.urandom(8)
        milliseconds = max(1, round(seconds * 1000))
        command = ("SET", _PREFIX + key, token, "NX", "PX", milliseconds)
        try:
            is_first = await self._redis.execute(*command) is not None
        except BaseException as error:
            # Redis may have heard of it all the same.
            self.leave(key)
            if isinstance(error, StorageUnavailableError):
                return None
            raise
        if not is_first:
            del self._held[key]
        return is_first

    async def _look(self, tenant: str, key: str, has_waited: bool) -> Entry | None:
        entry = await self._store.get(tenant, key)
        if entry is None and has_waited:
            entry = await self._store.get(tenant, _shown(key))
        return entry

    async def _give_back(self, key: str, token: bytes) -> None:
        try:
            await self._redis.run(_GIVE_BACK, (_PREFIX + key,), (token,))
        except StorageUnavailableError:
            # Its time ends it.
            return


def _shown(key: str) -> str:
    return f"{key}:shown"

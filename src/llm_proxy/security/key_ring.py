"""The virtual keys that this process knows, so that few requests ask the database."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from contextvars import Context
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from cachebox import LRUCache, TTLCache

from llm_proxy.errors import InternalError, StorageUnavailableError
from llm_proxy.security.key_queries import find_changes, find_digests
from llm_proxy.security.key_text import is_well_formed
from llm_proxy.security.lookups import MAX_GROUP, Lookups
from llm_proxy.security.virtual_key import EndedKey
from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from llm_proxy.security.key_store import KeyStore
    from llm_proxy.types import Principal

_log = get_logger(__name__)

# Callers wait for it, and the answer is one row.
_QUERY_SECONDS = 4.0
_MAX_UNKNOWN = 10_000
_UNKNOWN_SECONDS = 10.0
_MAX_TRIES = 3


class KeyRing:
    """Finds whose secret it is: in memory, or else in the database.

    Other processes change keys, too: what has changed is asked for again and again,
    forgotten here, and read anew. While that fails, keys that are known stay usable for
    a while, and nothing is said about others.

    Args:
        store: Has all keys.
        grace_seconds: How long known keys are used after the database was last heard.
        poll_seconds: How long to wait before asking for changes again.
        max_keys: How many are known at most; the least used one goes first.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        grace_seconds: float,
        poll_seconds: float = 1.0,
        max_keys: int = 10_000,
    ) -> None:
        self._store = store
        self._grace_seconds = grace_seconds
        self._poll_seconds = poll_seconds
        # By the digest of a secret.
        self._known: LRUCache[str, Principal] = LRUCache(max_keys)
        # What is nobody's, and of which key that has ended it is.
        self._unknown: TTLCache[str, EndedKey | None] = TTLCache(
            _MAX_UNKNOWN, _UNKNOWN_SECONDS
        )
        # What was known and has changed, until it is read anew.
        self._stale: set[str] = set()
        self._lookups = Lookups(self._load)
        self._watching: asyncio.Task[None] | None = None
        self._latest_change = 0
        self._times_forgotten = 0
        self._heard_at = -inf
        # Why the database cannot be used; empty while it can.
        self._trouble = ""
        store.subscribe(self.forget)

    async def open(self) -> None:
        """Begin to watch for changes; a database that is away may come back later."""
        await self._poll()
        # In a context of its own, because it outlives whoever opens the ring.
        self._watching = asyncio.get_running_loop().create_task(
            self._watch(), context=Context()
        )

    async def aclose(self) -> None:
        """End the watch, and the look-ups that are under way."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._lookups.aclose()

    def cached(self, secret: str) -> Principal | None:
        """Find whose secret it is, as far as that is known without waiting.

        Args:
            secret: As the caller sent it; any text.

        Returns:
            The principal; None says nothing.

        Raises:
            InternalError: The operator has given no pepper.
        """
        if not is_well_formed(secret):
            return None
        known = self._recall(self._digest(secret))
        return known if known is not None and _is_valid(known) else None

    async def find(self, secret: str) -> Principal | None:
        """Find whose secret it is.

        Args:
            secret: As the caller sent it; any text.

        Returns:
            The principal, or None if it is nobody's.

        Raises:
            StorageUnavailableError: That cannot be found out now.
            InternalError: The operator has given no pepper.
        """
        if not is_well_formed(secret):
            return None
        return await self.find_by_credential(self._digest(secret))

    def find_ended(self, secret: str) -> EndedKey | None:
        """Say for the log of which key a secret is that `find` has just refused.

        Args:
            secret: As the caller sent it; any text.

        Returns:
            The key; None if there is none, or that is not known without waiting.
        """
        if not is_well_formed(secret):
            return None
        return self.find_ended_credential(self._digest(secret))

    def find_ended_credential(self, credential: str) -> EndedKey | None:
        """Say the same of the digest of a secret, as `Principal` has it."""
        known: Principal | None = self._known.get(credential)
        if known is None:
            return self._unknown.get(credential)
        return None if _is_valid(known) else EndedKey(known.name, "expired")

    async def find_by_credential(self, credential: str) -> Principal | None:
        """Find whose secret it is, for those who know the caller without it.

        Args:
            credential: The digest of the secret, as `Principal` has it.

        Returns:
            The principal, or None if there is no such secret or it may not be used.

        Raises:
            StorageUnavailableError: That cannot be found out now.
        """
        known = self._recall(credential)
        if known is not None:
            return known if _is_valid(known) else None
        if self._trouble:
            raise StorageUnavailableError(log_detail=self._trouble)
        if credential in self._unknown:
            return None
        return await self._lookups.find(credential)

    def forget(self, key_id: str) -> None:
        """Ask the database again, at the latest when the key is used the next time.

        Args:
            key_id: A key that has changed.
        """
        self._forget({key_id})

    def _digest(self, secret: str) -> str:
        try:
            return self._store.digest(secret)
        except ConfigurationError as error:
            raise InternalError(log_detail=str(error)) from error

    def _recall(self, digest: str) -> Principal | None:
        """Find what is known, unless too much may have changed since."""
        silent_seconds = time.monotonic() - self._heard_at
        if self._trouble and silent_seconds > self._grace_seconds:
            return None
        return self._known.get(digest)

    async def _load(self, digests: Sequence[str]) -> Mapping[str, Principal]:
        """Ask the database, and remember what it says."""
        async with self._asking():
            for _ in range(_MAX_TRIES):
                times_forgotten = self._times_forgotten
                found = await find_digests(self._store.database, digests)
                callers, ended = _divide(found)
                # What has been forgotten meanwhile may be what was read before.
                if times_forgotten == self._times_forgotten:
                    self._known.update(callers)
                    unknown = dict.fromkeys({*digests}.difference(callers))
                    self._unknown.update(unknown | ended)
                    break
        return callers

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._poll()

    async def _poll(self) -> None:
        """Forget what has changed since the last time, and read it anew."""
        try:
            async with self._asking():
                changes = await find_changes(self._store.database, self._latest_change)
            self._latest_change = changes.latest
            if changes.ids is None or changes.ids:
                self._forget(changes.ids)
            self._note_health()
            await self._load_stale()
        except StorageUnavailableError:
            # It is noted where it was raised.
            return
        except Exception as error:  # noqa: BLE001 - the watch goes on
            self._note_trouble(type(error).__name__)

    async def _load_stale(self) -> None:
        """Read the keys that are in use, and would be missed if the database went."""
        while self._stale:
            group = [*islice(self._stale, MAX_GROUP)]
            await self._load(group)
            self._stale.difference_update(group)

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[None]:
        """Bound the time of queries, and note that the database is in trouble."""
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                yield
        except StorageUnavailableError as error:
            self._note_trouble(error.log_detail)
            raise
        except TimeoutError as error:
            reason = f"not done in {_QUERY_SECONDS:g} s"
            self._note_trouble(reason)
            raise StorageUnavailableError(log_detail=reason) from error

    def _forget(self, key_ids: Collection[str] | None) -> None:
        """Forget keys, or all; also which are unknown, as there may be new ones."""
        self._times_forgotten += 1
        self._unknown.clear()
        stale = [
            digest
            for digest, principal in self._known.items()
            if key_ids is None or principal.name in key_ids
        ]
        for digest in stale:
            del self._known[digest]
        self._stale.update(stale)

    def _note_health(self) -> None:
        self._heard_at = time.monotonic()
        if self._trouble:
            _log.info("keys_available")
        self._trouble = ""

    def _note_trouble(self, reason: str) -> None:
        if not self._trouble:
            _log.warning("keys_unavailable", detail=reason)
        self._trouble = reason or "it does not say why"


def _divide(
    found: Mapping[str, Principal | EndedKey],
) -> tuple[dict[str, Principal], dict[str, EndedKey]]:
    callers: dict[str, Principal] = {}
    ended: dict[str, EndedKey] = {}
    for digest, each in found.items():
        if isinstance(each, EndedKey):
            ended[digest] = each
        else:
            callers[digest] = each
    return callers, ended


def _is_valid(principal: Principal) -> bool:
    return principal.expires_at is None or time.time() < principal.expires_at

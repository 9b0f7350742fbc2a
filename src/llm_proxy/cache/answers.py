"""The answers that need not be asked for again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_proxy.cache.control import ANYTHING, CacheControl
from llm_proxy.cache.flights import Flights, Lead
from llm_proxy.cache.key import cache_key
from llm_proxy.cache.lookup import Found, Lookup, Result, Slot
from llm_proxy.cache.policy import Policy
from llm_proxy.cache.question import Question
from llm_proxy.cache.store import Store
from llm_proxy.types import SurfaceName

if TYPE_CHECKING:
    from llm_proxy.cache.semantic import SemanticIndex
    from llm_proxy.cache.shared_flights import SharedFlights


class Cache:
    """Answers that were given before, and those that are just being asked for.

    Args:
        store: Keeps answers.
        policy: Says which, and for how long.
        policy_version: Of whatever else decides what is answered: guardrails,
            providers, this program. Answers of another version are not found.
        observe: Is told how each question was answered.
        index: Finds questions that mean the same; None if only the same ones count.
        shared_flights: Of all processes that share the store; None if none does.
    """

    def __init__(  # noqa: PLR0913 - it consists of as many parts
        self,
        store: Store,
        policy: Policy,
        policy_version: str,
        observe: Callable[[Result], None],
        index: SemanticIndex | None = None,
        shared_flights: SharedFlights | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._policy_version = policy_version
        self._observe = observe
        self._index = index
        self._shared_flights = shared_flights
        self._flights: Flights[Found] = Flights(
            str if shared_flights is None else shared_flights.leave
        )

    @property
    def surfaces(self) -> Collection[SurfaceName]:
        """The surfaces whose answers are kept; on all others nobody needs to ask."""
        return self._policy.surfaces

    async def ask(
        self,
        tenant: str,
        question: Question,
        control: CacheControl = ANYTHING,
        seconds: float = 60.0,
    ) -> Lookup:
        """Look for an answer.

        Who asks what is just being asked waits for that answer, for half of the time at
        the most; then there is another half to ask without it.

        Args:
            tenant: Whose answers may be given; everybody's are apart.
            question: What is asked.
            control: What the caller says about caches.
            seconds: How much time the call has.

        Returns:
            What was found, to be entered at once.

        Raises:
            InvalidInputError: Another call has asked just that, and it is a mistake.
        """
        lookup = await self._ask(tenant, question, control, seconds)
        self._observe(lookup.result)
        return lookup

    async def purge(self, tenant: str | None) -> int:
        """Forget answers.

        Args:
            tenant: Whose; None for everybody's.

        Returns:
            As `Store.purge`.

        Raises:
            StorageUnavailableError: They may still be there.
        """
        if self._index is not None:
            self._index.purge(tenant)
        return await self._store.purge(tenant)

    async def _ask(
        self, tenant: str, question: Question, control: CacheControl, seconds: float
    ) -> Lookup:
        if not (control.keeps and self._policy.covers(question)):
            return Lookup("bypass")
        store, policy = self._store, self._policy
        key = cache_key(tenant, question, self._policy_version)
        times = await store.seen(tenant, key) if policy.counts else 0
        slot = Slot(store, policy, tenant, key, times, flights=self._shared_flights)
        if not control.reads:
            return Lookup("bypass", slot=slot)
        started = time.perf_counter()
        landed = await self._flights.join(key, seconds / 2)
        if isinstance(landed, Lead):
            until = started + seconds / 2
            lookup = await self._lead(slot, landed, question, control, until)
        elif landed is not None and _accepts(control, landed):
            lookup = Lookup(landed.result, landed.entry)
        else:
            lookup = Lookup("miss", slot=slot)
        lookup.waited_seconds = time.perf_counter() - started
        return lookup

    async def _lead(
        self,
        slot: Slot,
        lead: Lead[Found],
        question: Question,
        control: CacheControl,
        until: float,
    ) -> Lookup:
        """Look into the store, for all who wait."""
        try:
            found = await _find(slot, slot.key, "hit")
            if found is None and self._index is not None:
                version = self._policy_version
                place = self._index.place(slot.tenant, question, version)
                slot = replace(slot, place=place)
                found = await _find_alike(slot)
            if found is None and self._shared_flights is not None:
                found = await _find_elsewhere(slot, self._shared_flights, until)
        except BaseException as error:
            lead.fail(error)
            raise
        if found is None or not _accepts(control, found):
            return Lookup("miss", slot=slot, lead=lead)
        lead.land(found)
        return Lookup(found.result, found.entry)


def _accepts(control: CacheControl, found: Found) -> bool:
    return control.accepts(found.entry.age_seconds(time.time()))


async def _find(slot: Slot, key: str, result: Result) -> Found | None:
    entry = await slot.store.get(slot.tenant, key)
    return None if entry is None else Found(entry, result)


async def _find_elsewhere(
    slot: Slot, flights: SharedFlights, until: float
) -> Found | None:
    """Wait for a process that asks already."""
    seconds = until - time.perf_counter()
    entry = await flights.join(slot.tenant, slot.key, seconds)
    return None if entry is None else Found(entry, "flight")


async def _find_alike(slot: Slot) -> Found | None:
    """Look for the answer to a question that means the same."""
    place = slot.place
    key = None if place is None else await place.nearest()
    if place is None or key is None:
        return None
    found = await _find(slot, key, "semantic")
    if found is None:
        place.discard(key)
    return found

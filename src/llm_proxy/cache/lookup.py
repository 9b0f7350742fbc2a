"""What the cache says to one question, and where its answer goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from llm_proxy.cache.entry import MAX_BODY_BYTES, Account, Entry, make_entry
from llm_proxy.cache.policy import Policy, is_whole
from llm_proxy.cache.recording import Recording

if TYPE_CHECKING:
    from types import TracebackType

    from llm_proxy.cache.flights import Lead
    from llm_proxy.cache.semantic import Place
    from llm_proxy.cache.shared_flights import SharedFlights
    from llm_proxy.cache.store import Store

# Given an answer that was kept; the one to a question that means the same; given none;
# not looked for one; or given the one that another call has just asked for.
Result = Literal["hit", "semantic", "miss", "bypass", "flight"]


class Found(NamedTuple):
    """An answer, and how it was found."""

    entry: Entry
    result: Result


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an answer belongs.

    Attributes:
        store: What keeps it.
        policy: Whether, and for how long.
        tenant: Whose it is.
        key: Its name.
        times: How often it was asked for.
        place: Where questions that mean the same find it; None if none does.
        flights: Of several processes; None where there is one.
    """

    store: Store
    policy: Policy
    tenant: str
    key: str
    times: int
    place: Place | None = None
    flights: SharedFlights | None = None

    async def put(self, entry: Entry, nanos: int) -> None:
        """Keep an answer if it is worth it.

        Args:
            entry: The answer.
            nanos: What it has cost.
        """
        if len(entry.body) <= MAX_BODY_BYTES and self.policy.keeps(nanos, self.times):
            ttl = self.policy.ttl(self.times)
            await self.store.put(self.tenant, self.key, entry, ttl)
            if self.place is not None:
                self.place.add(self.key)
        elif self.flights is not None:
            await self.flights.show(self.tenant, self.key, entry)


class Lookup:
    """What the cache says to one question, and where its answer goes.

    Used as a context manager, which lets those ask who wait for the answer if none was
    kept in it. A recording takes that over.

    Args:
        result: How the question was answered.
        entry: The answer, if there is one.
        slot: Where another answer belongs; None if it is not kept.
        lead: Who waits for it; None if nobody can.
        waited_seconds: How long it took to get here.

    Attributes:
        result: As above.
        entry: As above.
        waited_seconds: As above.
    """

    def __init__(
        self,
        result: Result,
        entry: Entry | None = None,
        *,
        slot: Slot | None = None,
        lead: Lead[Found] | None = None,
        waited_seconds: float = 0.0,
    ) -> None:
        self.result = result
        self.entry = entry
        self.waited_seconds = waited_seconds
        self._slot = slot
        self._lead = lead
        self._is_recorded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None or not self._is_recorded:
            self.close(error)

    async def keep(
        self, account: Account, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Keep a whole answer, and give it to all who wait.

        Args:
            account: What is known of the call.
            body: As in `Entry`.
            headers: Of the response.
        """
        if self._slot is None or not (body and is_whole(account.finish_reason)):
            self.close()
            return
        entry = make_entry(account, body, headers, time.time())
        try:
            await self._slot.put(entry, account.nanos)
        finally:
            # Those who come from here on find it in the store.
            if self._lead is not None:
                self._lead.land(Found(entry, "flight"))

    def record(self) -> Recording | None:
        """Take down the answer while it passes.

        Returns:
            The recording, which must be kept or closed; None if nothing is kept.
        """
        if self._slot is None:
            return None
        self._is_recorded = True
        return Recording(self)

    def close(self, error: BaseException | None = None) -> None:
        """Let those ask who wait; nothing happens after an answer was kept.

        Args:
            error: Why there is no answer.
        """
        if self._lead is not None:
            self._lead.fail(error)

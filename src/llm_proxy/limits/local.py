"""Counts for all limits in the memory of one process, exactly."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_proxy.limits.claim import Claim, Kind, Standing, Verdict
from llm_proxy.types import Subject

_WINDOW_SECONDS = 60.0
# When a counter that nobody uses is forgotten. Money is read from the ledger again if
# need be, which by then has all that was spent.
_IDLE_SECONDS: Mapping[Kind, float] = {
    "requests": _WINDOW_SECONDS,
    "tokens": _WINDOW_SECONDS,
    "concurrent": _WINDOW_SECONDS,
    "money": 3600.0,
}
_FORGET_PER_CLAIM = 2


class LocalCounters:
    """Counts what the calls of this process take, each claim in constant time.

    Idle counters are forgotten a few at a time, when others are used. What a call does
    not settle stays taken.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In the order of their last use. A dict would search its way past all that has
        # moved away from its front.
        self._counts: Mapping[Kind, OrderedDict[tuple[Subject, str], _Count]] = {
            kind: OrderedDict() for kind in _IDLE_SECONDS
        }
        self._taken: dict[str, list[tuple[Kind, _Count, _Entry]]] = {}

    async def reserve(
        self, lease: str, claims: Sequence[Claim], spent: Mapping[str, int]
    ) -> Verdict:
        """Set aside everything that a call needs, or nothing.

        Args:
            lease: Names the reservation; unique.
            claims: What the call needs, each of another counter.
            spent: Where counters of money start that do not exist yet, in billionths
                of a dollar, by `Claim.counter`.

        Returns:
            How the limits stand.
        """
        now = self._clock()
        found = [(claim, self._find(claim, spent, now)) for claim in claims]
        counted = [(claim, count) for claim, count in found if count is not None]
        if len(counted) < len(found):
            return Verdict(
                unknown=tuple(claim.counter for claim, count in found if count is None)
            )
        granted = [
            claim.amount <= claim.limit - count.sum_at(now) for claim, count in counted
        ]
        if all(granted):
            self._take(lease, counted, now)
        return Verdict(
            tuple(
                Standing(
                    claim,
                    max(0, claim.limit - count.sum_at(now)),
                    count.reset_seconds(now),
                    is_granted,
                )
                for (claim, count), is_granted in zip(counted, granted, strict=True)
            )
        )

    def note(self, lease: str, claims: Sequence[Claim]) -> None:
        """Count what somebody else has let through, whatever the limits say of it.

        Args:
            lease: Names the reservation, which has to be settled here as well.
            claims: What the call has taken; money is passed over.
        """
        now = self._clock()
        found = ((claim, self._find(claim, {}, now)) for claim in claims)
        counted = [(claim, count) for claim, count in found if count is not None]
        self._take(lease, counted, now)

    def settle(
        self, lease: str, claims: Sequence[Claim], tokens: int, nanos: int
    ) -> None:
        """Put the truth in place of what was set aside.

        Args:
            lease: The reservation; settling it again changes nothing.
            claims: Those of the reservation, which are known here.
            tokens: What the call has used; 0 if nobody was asked.
            nanos: What it has cost.
        """
        truth: Mapping[Kind, int] = {
            "requests": 1,
            "tokens": tokens,
            "concurrent": 0,
            "money": nanos,
        }
        for kind, count, entry in self._taken.pop(lease, ()):
            count.settle(entry, truth[kind])

    def _take(
        self, lease: str, counted: Iterable[tuple[Claim, "_Count"]], now: float
    ) -> None:
        self._taken[lease] = [
            (claim.kind, count, count.take(claim.amount, now))
            for claim, count in counted
        ]

    def _find(
        self, claim: Claim, spent: Mapping[str, int], now: float
    ) -> "_Count | None":
        """Find or make a claim's count; None if nobody says where it starts."""
        counts = self._counts[claim.kind]
        key = (claim.subject, claim.period)
        count = counts.get(key)
        if count is None:
            if claim.kind == "money" and claim.counter not in spent:
                return None
            count = counts[key] = _new_count(claim, spent)
        count.used_at = now
        counts.move_to_end(key)
        _forget(counts, now - _IDLE_SECONDS[claim.kind])
        return count


@dataclass(slots=True)
class _Entry:
    """What a call has taken from a count."""

    at: float
    amount: int
    is_counted: bool = True


class _Count:
    """A sum of what calls have taken."""

    def __init__(self, start: int = 0) -> None:
        self.used_at = 0.0
        self.unsettled = 0
        self._sum = start

    def sum_at(self, now: float) -> int:
        return self._sum

    def reset_seconds(self, now: float) -> float:
        return 0.0

    def take(self, amount: int, now: float) -> _Entry:
        self.unsettled += 1
        self._sum += amount
        return _Entry(now, amount)

    def settle(self, entry: _Entry, truth: int) -> None:
        self.unsettled -= 1
        if entry.is_counted:
            self._sum += truth - entry.amount
            entry.amount = truth


class _Window(_Count):
    """A sum of what calls have taken within the last minute."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[_Entry] = deque()

    def sum_at(self, now: float) -> int:
        while self._entries and self._entries[0].at <= now - _WINDOW_SECONDS:
            entry = self._entries.popleft()
            entry.is_counted = False
            self._sum -= entry.amount
        return self._sum

    def reset_seconds(self, now: float) -> float:
        return self._entries[0].at + _WINDOW_SECONDS - now if self._entries else 0.0

    def take(self, amount: int, now: float) -> _Entry:
        entry = super().take(amount, now)
        self._entries.append(entry)
        return entry


def _new_count(claim: Claim, spent: Mapping[str, int]) -> _Count:
    if claim.kind == "money":
        return _Count(spent[claim.counter])
    return _Count() if claim.kind == "concurrent" else _Window()


def _forget(
    counts: OrderedDict[tuple[Subject, str], _Count], unused_since: float
) -> None:
    """Forget some that were not used since a moment, unless calls are under way."""
    for _ in range(_FORGET_PER_CLAIM):
        key, count = next(iter(counts.items()))
        if count.used_at > unused_since:
            return
        if count.unsettled:
            counts.move_to_end(key)
        else:
            del counts[key]

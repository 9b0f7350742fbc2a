"""What is set aside for one call, until the truth is known."""

from collections.abc import Sequence

from llm_proxy.limits.claim import Counters, Standing


class Reservation:
    """What one call has taken from its limits; it has to be settled.

    Args:
        lease: Its name.
        standings: How each limit stands, all of them granted.
        counters: All who have counted it.
    """

    __slots__ = ("_counters", "_lease", "_standings")

    def __init__(
        self, lease: str, standings: Sequence[Standing], counters: Sequence[Counters]
    ) -> None:
        self._lease = lease
        self._standings = standings
        self._counters = counters

    @property
    def standings(self) -> Sequence[Standing]:
        """How each limit stands."""
        return self._standings

    @property
    def warnings(self) -> tuple[Standing, ...]:
        """The budgets of which more is used than somebody wants to be warned of."""
        return tuple(
            standing
            for standing in self._standings
            if standing.claim.kind == "money"
            and used_share(standing) >= standing.claim.warn_at
        )

    def settle(self, tokens: int, nanos: int) -> None:
        """Put the truth in place of what was set aside; only the first time counts.

        Args:
            tokens: What the call has used; 0 if nobody was asked.
            nanos: What it has cost, in billionths of a US dollar.
        """
        counters, self._counters = self._counters, ()
        claims = [standing.claim for standing in self._standings]
        for each in counters:
            each.settle(self._lease, claims, tokens, nanos)


# Of a call that no limit bounds.
NOTHING = Reservation("", (), ())


def used_share(standing: Standing) -> float:
    """Say how much of a limit is used.

    Args:
        standing: How it stands.

    Returns:
        1 for all of it, also where nothing may be used.
    """
    limit = standing.claim.limit
    return 1 - standing.remaining / limit if limit else 1.0

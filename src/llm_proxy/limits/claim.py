"""What a call takes from the limits that bound it, and whether it gets it."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from llm_proxy.types import Subject

Kind = Literal["requests", "tokens", "concurrent", "money"]


class Claim(NamedTuple):
    """What a call takes from one limit.

    A named tuple, as the next two: every call makes one for each of its limits.

    Attributes:
        subject: Whose limit it is.
        kind: Of what.
        limit: Requests or tokens in any 60 seconds, calls at the same time, or
            billionths of a US dollar in the period.
        amount: What is set aside for the call, in the same unit; 1 of requests and
            calls.
        period: Of money only: a day such as ``2026-11-21``, a month such as
            ``2026-11``, or ``total``.
        warn_at: Of money only: the share of the limit from which on to warn.
    """

    subject: Subject
    kind: Kind
    limit: int
    amount: int
    period: str = ""
    warn_at: float = 1.0

    @property
    def counter(self) -> str:
        """The name of the counter that it counts against."""
        # The length tells a member of an organisation from a name with a "/" in it.
        length = len(self.subject.organisation)
        return f"{self.subject}|{length}|{self.kind}|{self.period}"


class Standing(NamedTuple):
    """How a limit stands after a reservation.

    Attributes:
        claim: What was asked of it.
        remaining: What is left, in its unit; never below 0.
        reset_seconds: Of requests and tokens: until something comes back.
        granted: Whether there was enough.
    """

    claim: Claim
    remaining: int
    reset_seconds: float
    granted: bool


class Verdict(NamedTuple):
    """Whether a call may go on.

    Attributes:
        standings: One for each claim, in their order. If one is not granted, none is
            taken.
        unknown: Counters of money that start at a figure which nobody has told yet; if
            there are any, nothing is taken and there are no standings.
    """

    standings: tuple[Standing, ...] = ()
    unknown: tuple[str, ...] = ()


class Counters(Protocol):
    """Counts for all limits, in one process or for several."""

    async def reserve(
        self, lease: str, claims: Sequence[Claim], spent: Mapping[str, int]
    ) -> Verdict:
        """Set aside everything that a call needs, or nothing.

        Args:
            lease: Names the reservation; unique.
            claims: What the call needs.
            spent: Where counters of money start that do not exist yet, in billionths
                of a dollar, by `Claim.counter`.

        Returns:
            How the limits stand.

        Raises:
            StorageUnavailableError: What the counters are kept in does not answer.
        """
        ...

    def settle(
        self, lease: str, claims: Sequence[Claim], tokens: int, nanos: int
    ) -> None:
        """Put the truth in place of what was set aside; returns at once.

        Args:
            lease: The reservation; settling it again changes nothing.
            claims: Those of the reservation.
            tokens: What the call has used; 0 if nobody was asked.
            nanos: What it has cost.
        """
        ...

"""What the answers of the scripts in ``lua/`` mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.claim import Claim, Standing, Verdict


@dataclass(frozen=True, slots=True)
class Reply:
    """What `reserve` or `renew` has answered.

    Attributes:
        kind: Such as ``standings``.
        now: When it was run, in microseconds by the clock of Redis.
        figures: The numbers that it says besides.
        names: The processes that live, if it names them.
    """

    kind: bytes
    now: int
    figures: Sequence[int]
    names: Sequence[bytes]

    @property
    def is_late(self) -> bool:
        """Whether the script has done nothing, since it came too late."""
        return self.kind == b"late"

    @property
    def processes(self) -> int | None:
        """How many processes live; None if the reply does not say it."""
        if self.kind == b"standings" and self.figures:
            return self.figures[0]
        return len(self.names) if self.kind == b"processes" else None


def read(said: object) -> Reply:
    """Read what `reserve` or `renew` has answered.

    Args:
        said: As Redis gives it.

    Returns:
        The reply.

    Raises:
        StorageUnavailableError: No script of ours says that.
    """
    match said:
        case [bytes(kind), int(now), *rest]:
            figures = [each for each in rest if isinstance(each, int)]
            names = [each for each in rest if isinstance(each, bytes)]
            if len(names if kind == b"processes" else figures) == len(rest):
                return Reply(kind, now, figures, names)
    raise _nonsense()


def verdict(reply: Reply, claims: Sequence[Claim]) -> Verdict | None:
    """Understand what `reserve` has answered.

    Args:
        reply: The reply.
        claims: What was asked for.

    Returns:
        How the limits stand; None if Redis does not know the process.

    Raises:
        StorageUnavailableError: Redis has lost counters of money, and other processes
            may still have something to tell about them.
    """
    figures = reply.figures
    match reply.kind:
        case b"stranger":
            return None
        case b"unheard":
            raise StorageUnavailableError(
                log_detail="redis has lost its data, and waits to hear of all processes"
            )
        case b"unknown" if all(0 < each <= len(claims) for each in figures):
            return Verdict(unknown=tuple(claims[each - 1].counter for each in figures))
        case b"standings" if len(figures) == 1 + 3 * len(claims):
            rows = zip(claims, figures[1::3], figures[2::3], figures[3::3], strict=True)
            return Verdict(
                tuple(
                    Standing(claim, remaining, reset / 1e6, bool(is_granted))
                    for claim, is_granted, remaining, reset in rows
                )
            )
    raise _nonsense()


def count_spoilt(said: object) -> int:
    """Read what `settle` has answered.

    Args:
        said: As Redis gives it.

    Returns:
        How many claims could not be settled.

    Raises:
        StorageUnavailableError: No script of ours says that.
    """
    if not isinstance(said, int):
        raise _nonsense()
    return said


def _nonsense() -> StorageUnavailableError:
    return StorageUnavailableError(log_detail="redis answers what no script says")

"""How long an upstream may take."""

from typing import NamedTuple


class Timeouts(NamedTuple):
    """Bounds on one attempt, in seconds; None leaves a bound to the settings.

    A named tuple, because every call looks its provider up by them.

    Attributes:
        connect: To reach the upstream: DNS, TCP and TLS together.
        first_token: To the first piece of a streamed answer, or to the first byte of a
            complete one.
        idle: Between two reads from a stream that has begun to answer; the upstream's
            pings count.
    """

    connect: float | None = None
    first_token: float | None = None
    idle: float | None = None

    def __or__(self, other: "Timeouts") -> "Timeouts":
        """Let others go before these where they say something."""
        return Timeouts(
            connect=other.connect or self.connect,
            first_token=other.first_token or self.first_token,
            idle=other.idle or self.idle,
        )


NO_TIMEOUTS = Timeouts()

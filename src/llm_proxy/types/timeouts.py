"""How long an upstream may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds on one attempt, in seconds; None leaves a bound to the settings.

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

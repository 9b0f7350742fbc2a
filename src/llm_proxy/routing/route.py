"""Where a call may go."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment: a provider and its name of a model."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Route:
    """The deployments that may answer a call, and how hard to try.

    Attributes:
        targets: Asked in this order; the later ones are fallbacks.
        attempts: The most attempts at each target.
        deadline_seconds: For all attempts and waits together; of a stream, until the
            first text.
        first_token_seconds: How long one attempt may stay without text; None leaves it
            to the provider's read time-out.
    """

    targets: tuple[Target, ...]
    attempts: int
    deadline_seconds: float
    first_token_seconds: float | None = None

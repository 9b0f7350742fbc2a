"""Where a call may go."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from llm_proxy.config import AffinityConfig
from llm_proxy.types import NO_TIMEOUTS, Timeouts

StreamRecovery = Literal["off", "buffer", "continue"]

# Less than this is no wait.
_NO_WAIT_SECONDS = 0.001


class Target(NamedTuple):
    """A deployment's name: a provider and its name of a model.

    A named tuple, because every call looks up by it how the deployment is doing.
    """

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a model is served.

    Attributes:
        target: Where.
        weight: Its share of the calls, relative to its neighbours.
        context_window: Tokens that it can read, where the operator says so.
    """

    target: Target
    weight: int = 1
    context_window: int | None = None


Tier = tuple[Deployment, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The deployments that may answer a call, and how hard to try.

    Attributes:
        tiers: Sets of deployments that are as good as each other; the later ones are
            fallbacks.
        retries: How often deployments of one tier may be asked once more.
        deadline_seconds: For all attempts and waits together; of a stream, until the
            first text.
        timeouts: Bounds on one attempt.
        total_seconds: The most that a streamed answer may take as a whole; None leaves
            it to the settings.
        stream_recovery: What becomes of a stream that dies: ``off`` ends it with an
            error, ``buffer`` shows nothing until it is whole and asks again, and
            ``continue`` asks the next deployment to go on.
        hedge_after: Seconds of silence after which a second deployment is asked as
            well; None for never.
        reroutes_filtered: Whether the next deployment is asked where a provider's
            content filter refuses.
        affinity: What keeps calls at one deployment; None for nothing.
        session: The session that this keeps there; empty for none.
        is_hurried: Whether the caller wants it sooner than the operator grants. Who is
            too slow for that has not failed.
        reason: Why a policy has chosen this route; for people.
        names: What the model is called: who may ask for one of them may go wherever the
            route leads.
    """

    tiers: tuple[Tier, ...]
    retries: int
    deadline_seconds: float
    timeouts: Timeouts = NO_TIMEOUTS
    total_seconds: float | None = None
    stream_recovery: StreamRecovery = "off"
    hedge_after: float | None = None
    reroutes_filtered: bool = False
    affinity: AffinityConfig | None = None
    session: bytes = b""
    is_hurried: bool = False
    reason: str = ""
    names: tuple[str, ...] = ()

    @property
    def first(self) -> Target:
        """Who stands at the beginning."""
        return self.tiers[0][0].target

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that may be asked, in order, each once."""
        each = (deployment.target for tier in self.tiers for deployment in tier)
        return tuple(dict.fromkeys(each))

    def after(self, seconds: float) -> "Route":
        """Take off time that is gone.

        Args:
            seconds: So much of it.

        Returns:
            The same route with what is left until the deadline; who did not wait keeps
            the very route.
        """
        if seconds < _NO_WAIT_SECONDS:
            return self
        left = max(0.0, self.deadline_seconds - seconds)
        return replace(self, deadline_seconds=left)

    def are_equal(self, one: Deployment, other: Deployment) -> bool:
        """Say whether two deployments serve the same model.

        Args:
            one: The one.
            other: The other.

        Returns:
            True if one tier has both.
        """
        return any({one, other}.issubset(tier) for tier in self.tiers)

    def only(self, may_answer: Callable[[Target], bool]) -> "Route":
        """Leave out whom a call cannot go to.

        Args:
            may_answer: Says whether a target stays.

        Returns:
            The route to the others.
        """
        tiers = (
            tuple(each for each in tier if may_answer(each.target))
            for tier in self.tiers
        )
        return replace(self, tiers=tuple(filter(None, tiers)))

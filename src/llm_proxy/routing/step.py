"""One attempt that is about to be made."""

from dataclasses import dataclass

from llm_proxy.routing.route import Deployment, Target


@dataclass(frozen=True, slots=True)
class Step:
    """The next attempt.

    Attributes:
        deployment: Whom to ask.
        wait_seconds: How long to wait before.
        is_retry: Whether a token of the budget was taken for it.
    """

    deployment: Deployment
    wait_seconds: float = 0.0
    is_retry: bool = False

    @property
    def target(self) -> Target:
        """The deployment's name."""
        return self.deployment.target

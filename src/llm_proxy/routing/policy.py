"""What all calls have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_proxy.routing.backoff import Backoff
from llm_proxy.routing.budget import RetryBudget
from llm_proxy.routing.health import Health
from llm_proxy.routing.route import Deployment


@dataclass(frozen=True, slots=True)
class Policy:
    """What all calls have in common.

    Attributes:
        health: Knows which deployments are left alone.
        budget: Knows how many retries upstreams get.
        backoff: How long to wait between attempts.
        window_of: Says how many tokens a deployment reads; None if nobody knows.
    """

    health: Health
    budget: RetryBudget
    backoff: Backoff
    window_of: Callable[[Deployment], int | None] = lambda _: None

"""Which of several deployments is asked."""

import math
import random
from collections.abc import Sequence
from hashlib import blake2b

from llm_proxy.routing.health import Health
from llm_proxy.routing.route import Deployment

# Smaller differences are noise, which must not overrule the weights.
_NOTABLY = 0.7
# As many as a float tells apart, so that a share of them is below 1.
_HASH_BYTES = 6


def choose(deployments: Sequence[Deployment], health: Health) -> Deployment:
    """Choose by weight, but not who is notably busier or slower than another.

    This is the power of two choices: two are drawn by their weights, and the one that
    looks better is taken. Mitzenmacher, "The Power of Two Choices in Randomized Load
    Balancing", 2001.

    Args:
        deployments: At least one.
        health: Knows how busy and how fast they are.

    Returns:
        The one to ask.
    """
    if len(deployments) == 1:
        return deployments[0]
    weights = [each.weight for each in deployments]
    # Load spreading needs no secrecy.
    first, second = random.choices(deployments, weights, k=2)  # noqa: S311
    if first is second:
        return first
    cost, other_cost = _costs(first, second, health)
    return second if other_cost < _NOTABLY * cost else first


def choose_for(session: bytes, deployments: Sequence[Deployment]) -> Deployment:
    """Choose the same deployment for the same session, in every process.

    This is weighted rendezvous hashing: when a deployment comes or goes, only its own
    sessions move. Schindelhauer and Schomaker, "Weighted Distributed Hash Tables",
    2005.

    Args:
        session: What belongs together.
        deployments: At least one.

    Returns:
        The one to ask.
    """
    if len(deployments) == 1:
        return deployments[0]
    return max(deployments, key=lambda each: _score(session, each))


def _costs(
    first: Deployment, second: Deployment, health: Health
) -> tuple[float, float]:
    now = health.clock()
    vitals = [health.vitals_of(each.target) for each in (first, second)]
    latencies = [each.latency(now) for each in vitals]
    if None in latencies:
        # Who is not known is worth a try.
        latencies = [1.0, 1.0]
    cost, other_cost = (
        (figures.in_flight / each.weight + 1) * (latency or 0.0)
        for each, figures, latency in zip(
            (first, second), vitals, latencies, strict=True
        )
    )
    return cost, other_cost


def _score(session: bytes, deployment: Deployment) -> float:
    name = str(deployment.target).encode()
    digest = blake2b(name, key=session[:64], digest_size=_HASH_BYTES).digest()
    share = (int.from_bytes(digest) + 0.5) / 256**_HASH_BYTES
    return -deployment.weight / math.log(share)

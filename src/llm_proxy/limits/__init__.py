"""How much a client may ask for, and how much all of them together."""

from llm_proxy.limits.places import Places
from llm_proxy.limits.rate import RateLimits, Scope, Standing

__all__ = ["Places", "RateLimits", "Scope", "Standing"]

"""How much a client may ask for."""

from llm_proxy.limits.rate import RateLimits, Scope, Standing

__all__ = ["RateLimits", "Scope", "Standing"]

"""How much a client may ask for, and how much all of them together."""

from llm_proxy.limits.allowances import Allowances
from llm_proxy.limits.figures import Spending
from llm_proxy.limits.headers import reservation_headers
from llm_proxy.limits.local import LocalCounters
from llm_proxy.limits.places import Places
from llm_proxy.limits.rate import RateLimits, RouteKind, Standing
from llm_proxy.limits.reservation import NOTHING, Reservation
from llm_proxy.limits.shared import SharedCounters
from llm_proxy.limits.terms import Term, Terms

__all__ = [
    "NOTHING",
    "Allowances",
    "LocalCounters",
    "Places",
    "RateLimits",
    "Reservation",
    "RouteKind",
    "SharedCounters",
    "Spending",
    "Standing",
    "Term",
    "Terms",
    "reservation_headers",
]

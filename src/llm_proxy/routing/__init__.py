"""Routes, and the loop that follows them until somebody answers."""

from llm_proxy.routing.affinity import session_of
from llm_proxy.routing.backoff import Backoff
from llm_proxy.routing.budget import RetryBudget
from llm_proxy.routing.catalog import Catalog
from llm_proxy.routing.condition import Condition
from llm_proxy.routing.health import Health
from llm_proxy.routing.listing import CatalogEntry, ListedModel
from llm_proxy.routing.plan import Plan
from llm_proxy.routing.policy import Policy
from llm_proxy.routing.reply import OpenStream, Reply, Source
from llm_proxy.routing.route import Deployment, Route, StreamRecovery, Target
from llm_proxy.routing.router import Router
from llm_proxy.routing.trace import Trace, Traces, Tried

__all__ = [
    "Backoff",
    "Catalog",
    "CatalogEntry",
    "Condition",
    "Deployment",
    "Health",
    "ListedModel",
    "OpenStream",
    "Plan",
    "Policy",
    "Reply",
    "RetryBudget",
    "Route",
    "Router",
    "Source",
    "StreamRecovery",
    "Target",
    "Trace",
    "Traces",
    "Tried",
    "session_of",
]

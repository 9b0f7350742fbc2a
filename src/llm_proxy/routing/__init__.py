"""Routes, and the loop that follows them until somebody answers."""

from llm_proxy.routing.catalog import Catalog, CatalogEntry
from llm_proxy.routing.health import Health
from llm_proxy.routing.listing import ALIAS_PROVIDER, ListedModel
from llm_proxy.routing.route import Route, Target
from llm_proxy.routing.router import Backoff, OpenStream, Reply, Router

__all__ = [
    "ALIAS_PROVIDER",
    "Backoff",
    "Catalog",
    "CatalogEntry",
    "Health",
    "ListedModel",
    "OpenStream",
    "Reply",
    "Route",
    "Router",
    "Target",
]

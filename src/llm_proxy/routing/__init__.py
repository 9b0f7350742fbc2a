"""Routes, and the loop that follows them until somebody answers."""

from llm_proxy.routing.catalog import ALIAS_PROVIDER, Catalog, CatalogEntry
from llm_proxy.routing.health import Health
from llm_proxy.routing.route import Route, Target
from llm_proxy.routing.router import Backoff, OpenStream, Reply, Router

__all__ = [
    "ALIAS_PROVIDER",
    "Backoff",
    "Catalog",
    "CatalogEntry",
    "Health",
    "OpenStream",
    "Reply",
    "Route",
    "Router",
    "Target",
]

"""One answer for all requests that carry the same key."""

from llm_proxy.idempotency.database_store import DatabaseStore
from llm_proxy.idempotency.digest import digest
from llm_proxy.idempotency.lease import Lease
from llm_proxy.idempotency.memory_store import MemoryStore
from llm_proxy.idempotency.store import Claim, Earlier, SavedAnswer, Store

__all__ = [
    "Claim",
    "DatabaseStore",
    "Earlier",
    "Lease",
    "MemoryStore",
    "SavedAnswer",
    "Store",
    "digest",
]

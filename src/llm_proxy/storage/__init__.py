"""The database: where it is, what is in it, and that it may fail."""

from llm_proxy.storage.database import Database
from llm_proxy.storage.faults import RefusedRowsError
from llm_proxy.storage.schema import SchemaStatus, check, find_status, upgrade
from llm_proxy.storage.tables import ledger, metadata

__all__ = [
    "Database",
    "RefusedRowsError",
    "SchemaStatus",
    "check",
    "find_status",
    "ledger",
    "metadata",
    "upgrade",
]

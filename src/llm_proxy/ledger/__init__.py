"""What every attempt has cost, and who has caused it."""

from llm_proxy.ledger.costs import Costs
from llm_proxy.ledger.entry import CacheUse, Cost, CostSource, Entry, Status, entry_ids
from llm_proxy.ledger.holders import holders
from llm_proxy.ledger.reservations import Reservations
from llm_proxy.ledger.spending import spent
from llm_proxy.ledger.spool import Spool
from llm_proxy.ledger.writer import Ledger

__all__ = [
    "CacheUse",
    "Cost",
    "CostSource",
    "Costs",
    "Entry",
    "Ledger",
    "Reservations",
    "Spool",
    "Status",
    "entry_ids",
    "holders",
    "spent",
]

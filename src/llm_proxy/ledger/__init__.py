"""What every attempt has cost, and who has caused it."""

from llm_proxy.ledger.costs import Costs
from llm_proxy.ledger.entry import Cost, CostSource, Entry, Status
from llm_proxy.ledger.spool import Spool
from llm_proxy.ledger.writer import Ledger

__all__ = ["Cost", "CostSource", "Costs", "Entry", "Ledger", "Spool", "Status"]

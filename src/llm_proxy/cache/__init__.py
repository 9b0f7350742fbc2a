"""Answers that are given again, and those that many wait for at the same time.

`SharedStore` is imported from its module, by whoever has a Redis.
"""

from llm_proxy.cache.answers import Cache
from llm_proxy.cache.control import ANYTHING, CacheControl, read_cache_control
from llm_proxy.cache.entry import Account, Entry
from llm_proxy.cache.lookup import Lookup, Result
from llm_proxy.cache.memory import MemoryStore
from llm_proxy.cache.policy import Policy
from llm_proxy.cache.question import Question
from llm_proxy.cache.recording import Recording
from llm_proxy.cache.store import Store

__all__ = [
    "ANYTHING",
    "Account",
    "Cache",
    "CacheControl",
    "Entry",
    "Lookup",
    "MemoryStore",
    "Policy",
    "Question",
    "Recording",
    "Result",
    "Store",
    "read_cache_control",
]

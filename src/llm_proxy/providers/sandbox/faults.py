"""The registry of models that never give a complete answer."""

from llm_proxy.providers.sandbox.behaviour import Model
from llm_proxy.providers.sandbox.broken import BROKEN
from llm_proxy.providers.sandbox.hostile import HOSTILE
from llm_proxy.providers.sandbox.refusals import REFUSALS
from llm_proxy.providers.sandbox.unreachable import UNREACHABLE

FAULTS: dict[str, Model] = {
    **UNREACHABLE,
    **REFUSALS,
    **BROKEN,
    **HOSTILE,
}
"""Models by name, without the number: one row per fault of an upstream."""

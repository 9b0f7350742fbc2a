"""Tokens, which this API counts apart: those of its cache are not in ``input_tokens``.

Ours are the whole input.
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count

_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_THINKING = "thinking_tokens"


class UsageTally:
    """Gathers the usage of one message; a later figure replaces an earlier one."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sound = True

    def add(self, usage: object) -> Usage | None:
        """Take a report.

        Args:
            usage: The value of a ``usage`` key, whatever it is.

        Returns:
            What is known now; None if the report says nothing.
        """
        if not isinstance(usage, dict):
            return None
        known = False
        for name in _COUNTED:
            known = self._count(name, usage.get(name)) or known
        details = usage.get("output_tokens_details")
        if isinstance(details, dict):
            self._count(_THINKING, details.get(_THINKING))
        return self._total() if known else None

    def _count(self, name: str, value: object) -> bool:
        if value is None:
            return False
        count = self._counts[name] = read_count(value)
        # Whoever counts below zero once has nothing to say.
        self._sound = self._sound and count == value
        return True

    def _total(self) -> Usage:
        counts = self._counts
        output, thoughts = counts.get("output_tokens", 0), counts.get(_THINKING, 0)
        if not self._sound or thoughts > output:
            return Usage()
        cached = counts.get("cache_read_input_tokens", 0)
        written = counts.get("cache_creation_input_tokens", 0)
        return Usage(
            input_tokens=counts.get("input_tokens", 0) + cached + written,
            output_tokens=output,
            cached_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=thoughts,
            source="provider",
        )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write what a complete message says of its tokens.

    Args:
        usage: The tokens.

    Returns:
        All keys that the vendor sends; some clients insist on them.
    """
    return {
        **write_late_usage(usage),
        "cache_creation": None,
        "inference_geo": None,
        "service_tier": None,
        "speed": None,
    }


def write_late_usage(usage: Usage) -> Mapping[str, Any]:
    """Write what the end of a stream says of its tokens.

    Args:
        usage: The tokens.

    Returns:
        The keys of a ``message_delta``.
    """
    details = {_THINKING: usage.reasoning_tokens} if usage.reasoning_tokens else None
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - cached - written),
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens_details": details,
        "server_tool_use": None,
    }

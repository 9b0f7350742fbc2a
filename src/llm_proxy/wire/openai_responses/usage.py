"""Tokens, as this API counts them: cached ones and thoughts are part of the sums."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count


def read_usage(usage: object) -> Usage:
    """Read ``usage``; figures that contradict themselves are as good as none.

    Args:
        usage: Whatever stood there.

    Returns:
        The tokens.
    """
    if not isinstance(usage, dict):
        return Usage()
    inputs, outputs = (
        usage.get("input_tokens_details"),
        usage.get("output_tokens_details"),
    )
    figures = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        _member(inputs, "cached_tokens"),
        _member(inputs, "cache_write_tokens"),
        _member(outputs, "reasoning_tokens"),
    )
    counts = [read_count(each) for each in figures]
    if figures[:2] == (None, None) or counts != [each or 0 for each in figures]:
        return Usage()
    total_in, total_out, cached, written, thought = counts
    if cached + written > total_in or thought > total_out:
        return Usage()
    return Usage(total_in, total_out, cached, written, thought, "provider")


def _member(details: object, name: str) -> Any:  # noqa: ANN401 - JSON
    return details.get(name) if isinstance(details, Mapping) else None


def write_usage(usage: Usage) -> dict[str, Any] | None:
    """Write ``usage``.

    Args:
        usage: The tokens.

    Returns:
        The object; None if nobody counted.
    """
    if usage.source == "none":
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }

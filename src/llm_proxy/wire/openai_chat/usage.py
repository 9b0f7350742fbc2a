"""Token counts, read and written.

Source: the OpenAI API reference, "The chat completion object", ``usage``.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count


def read_usage(usage: object) -> Usage | None:
    """Read an upstream's counts; those that contradict themselves are as good as none.

    Args:
        usage: The value of ``usage``.

    Returns:
        The counts, or None.
    """
    if not isinstance(usage, dict) or "prompt_tokens" not in usage:
        return None
    inputs = _details(usage, "prompt_tokens_details")
    outputs = _details(usage, "completion_tokens_details")
    # The second is DeepSeek's own name.
    cached = inputs.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))
    written = inputs.get("cache_write_tokens")
    reasoning = outputs.get("reasoning_tokens")
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens")
    figures = (prompt, completion, cached, written, reasoning)
    counts = [read_count(figure) for figure in figures]
    if counts != [figure or 0 for figure in figures]:
        return None
    input_tokens, output_tokens, cached, written, thought = counts
    if usage.get("total_tokens") == input_tokens + output_tokens + thought:
        # xAI counts thoughts beside the answer, not as part of it.
        output_tokens += thought
    if cached + written > input_tokens or thought > output_tokens:
        return None
    cost = _read_cost(usage.get("cost"))
    return Usage(
        input_tokens, output_tokens, cached, written, thought, "provider", cost
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write counts.

    Args:
        usage: The counts.

    Returns:
        The value of ``usage``.
    """
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _read_cost(cost: object) -> Decimal | None:
    """Read what OpenRouter charges, in US dollars."""
    if isinstance(cost, int | float) and not isinstance(cost, bool):
        return Decimal(str(cost))
    return None


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}

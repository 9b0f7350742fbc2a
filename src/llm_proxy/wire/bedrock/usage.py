"""Reads Converse's account of tokens."""

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count

_NAMES = (
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)


def read_usage(usage: object) -> Usage:
    """Read a ``TokenUsage``.

    Args:
        usage: Its ``inputTokens`` leave out what was read from or written to the cache;
            ours are the whole input.

    Returns:
        The tokens; without a source if the figures make no sense.
    """
    if not isinstance(usage, dict) or usage.get("inputTokens") is None:
        return Usage()
    figures = [usage.get(name) or 0 for name in _NAMES]
    counts = [read_count(figure) for figure in figures]
    if counts != figures:
        return Usage()
    fresh, output, cached, written = counts
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=output,
        cached_tokens=cached,
        cache_write_tokens=written,
        source="provider",
    )

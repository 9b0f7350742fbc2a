"""Reads the token counts of the Gemini API.

Source: the Gemini API reference, "UsageMetadata".
"""

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count

_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
)


def read_usage(metadata: object) -> Usage | None:
    """Read ``usageMetadata``.

    The prompt includes what was cached; the candidates leave out the thoughts.

    Args:
        metadata: Whatever stood there.

    Returns:
        The usage; one without figures if they are nonsense, None if there are none.
    """
    if not isinstance(metadata, dict):
        return None
    raw = [metadata.get(name) or 0 for name in _COUNTS]
    counts = [read_count(value) for value in raw]
    prompt, tool_use, candidates, thoughts, cached = counts
    if counts != raw or cached > prompt:
        return Usage()
    if not any(counts):
        return None
    return Usage(
        input_tokens=prompt + tool_use,
        output_tokens=candidates + thoughts,
        cached_tokens=cached,
        reasoning_tokens=thoughts,
        source="provider",
    )

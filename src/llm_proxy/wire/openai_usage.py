"""Reads what OpenAI's endpoints besides chat say they have used."""

from llm_proxy.types import Usage
from llm_proxy.wire.reading import read_count


def read_usage(usage: object) -> Usage | None:
    """Read a usage object.

    Args:
        usage: ``input_tokens`` and ``output_tokens`` of images and transcripts, or
            ``prompt_tokens`` of embeddings.

    Returns:
        The tokens; None if there are none, as where seconds of audio are counted.
    """
    if not isinstance(usage, dict):
        return None
    input_tokens = read_count(usage.get("input_tokens", usage.get("prompt_tokens")))
    output_tokens = read_count(usage.get("output_tokens"))
    if not (input_tokens or output_tokens):
        return None
    return Usage(input_tokens, output_tokens, source="provider")

"""Counts tokens where no provider does; the vocabularies come with the package."""

from collections.abc import Sequence

import toktok

# Models before GPT-4o.
_OLDER = ("gpt-3.5", "gpt-4-", "text-embedding-", "davinci", "babbage")
# Anthropic and Google publish no vocabulary; theirs makes more tokens of a text.
_FACTORS = (("claude", 1.2), ("gemini", 1.05))


def count_tokens(texts: Sequence[str], model: str) -> int:
    """Count the tokens of texts.

    The first count loads a vocabulary, which takes some 0.3 s; it releases the GIL.

    Args:
        texts: Any texts.
        model: A vendor's name of a model, with or without a provider before it.

    Returns:
        Exact for OpenAI's models, an estimate for all others.
    """
    name = model.rpartition("/")[2].lower()
    older = name == "gpt-4" or name.startswith(_OLDER)
    encoding = "cl100k_base" if older else "o200k_base"
    counted: int = sum(toktok.batch_count(list(texts), encoding, threads=1))
    factor = next((factor for mark, factor in _FACTORS if mark in name), 1.0)
    return round(counted * factor)

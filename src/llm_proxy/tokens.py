"""Counts tokens where no provider does; the vocabularies come with the package."""

from collections.abc import Iterable, Sequence

import toktok
from cachebox import LRUCache

# Models before GPT-4o.
_OLDER = ("gpt-3.5", "gpt-4-", "text-embedding-", "davinci", "babbage")
# Anthropic and Google publish no vocabulary; theirs makes more tokens of a text.
_FACTORS = (("claude", 1.2), ("gemini", 1.05))


class TokenCounter:
    """Counts the tokens of texts that come again, as the turns of a conversation do.

    Args:
        most: How many counts are remembered; the texts are not.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._counts: LRUCache[tuple[str, int, int], int] = LRUCache(most)

    def count(self, texts: Iterable[str], model: str) -> int:
        """Count the tokens of texts.

        Args:
            texts: Any texts.
            model: As for `count_tokens`.

        Returns:
            As `count_tokens`.
        """
        encoding = _encoding(model)
        counts, total = self._counts, 0
        for text in texts:
            # Nobody can make two texts of one hash: it is keyed, by Python.
            key = encoding, hash(text), len(text)
            counted = counts.get(key, -1)
            if counted < 0:
                counted = counts[key] = _count([text], encoding)
            total += counted
        return round(total * _factor(model))


def count_tokens(texts: Sequence[str], model: str) -> int:
    """Count the tokens of texts.

    The first count loads a vocabulary, which takes some 0.3 s; it releases the GIL.

    Args:
        texts: Any texts.
        model: A vendor's name of a model, with or without a provider before it.

    Returns:
        Exact for OpenAI's models, an estimate for all others.
    """
    return round(_count(list(texts), _encoding(model)) * _factor(model))


def _count(texts: list[str], encoding: str) -> int:
    counted: list[int] = toktok.batch_count(texts, encoding, threads=1)
    return sum(counted)


def _encoding(model: str) -> str:
    name = model.rpartition("/")[2].lower()
    older = name == "gpt-4" or name.startswith(_OLDER)
    return "cl100k_base" if older else "o200k_base"


def _factor(model: str) -> float:
    name = model.lower()
    return next((factor for mark, factor in _FACTORS if mark in name), 1.0)

"""The texts of a request, whichever dialect it is in, for those who only look."""

from collections.abc import Iterator, Mapping
from typing import Any

# What is longer is no prompt of a person; the rest is not looked at.
_MAX_CHARACTERS = 16_384


def latest_texts(fields: Mapping[str, Any]) -> list[str]:
    """Find what was said to a model since it last spoke.

    Args:
        fields: A request in any of the dialects in which callers speak.

    Returns:
        Texts, the latest first, with at most 16384 characters together.
    """
    texts: list[str] = []
    left = _MAX_CHARACTERS
    for text in _texts(fields):
        texts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return texts


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    turns = fields.get("messages", fields.get("input", fields.get("prompt")))
    if isinstance(turns, str):
        yield turns
    if not isinstance(turns, list):
        return
    for turn in reversed(turns):
        if isinstance(turn, str):
            yield turn
        if not isinstance(turn, dict):
            continue
        if turn.get("role") == "assistant" or turn.get("type") == "reasoning":
            return
        yield from _texts_of(turn.get("content", turn.get("output")))


def _texts_of(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict):
                text = part.get("text")
                yield from _texts_of(part.get("content") if text is None else text)

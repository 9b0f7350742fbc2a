"""What a caller has got of an answer, and how many tokens that is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from llm_proxy.demand import Demand
from llm_proxy.tokens import count_tokens
from llm_proxy.types import (
    ChatResponse,
    Chunk,
    FinishReason,
    Usage,
)
from llm_proxy.wire import Passage, delivered_texts

# Bytes or characters of an answer, and of what was asked, that are looked at; what is
# longer is as dense. It takes some 15 ms to count them.
_MOST_COUNTED = 262_144
# Of an answer that comes later, and that the request does not bound.
_UNSEEN_TOKENS = 4096


F = TypeVar("F", bound="Facts")


class Facts(Protocol):
    """What an answer, or a piece of one, says about itself."""

    @property
    def model(self) -> str | None:
        """The model that the upstream says is answering."""
        ...

    @property
    def usage(self) -> Usage | None:
        """Tokens, where they are reported."""
        ...

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, once it has."""
        ...


class Delivery:
    """Keeps an answer for as long as nobody else has counted its tokens.

    Args:
        demand: What was asked.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._pieces: list[Facts] = []
        self._kept = 0
        self._size = 0

    def add(self, batch: Sequence[Facts]) -> None:
        """Take what the caller gets.

        Args:
            batch: Passages, chunks or whole answers.
        """
        for piece in batch:
            size = _size(piece)
            self._size += size
            if self._kept < _MOST_COUNTED:
                self._kept += size
                self._pieces.append(piece)

    def count(self, model: str, *, is_whole: bool) -> Usage:
        """Count the tokens of the question, and of the answer so far.

        Args:
            model: The vendor's name of the model that was asked.
            is_whole: Whether that is all of it.

        Returns:
            Our own figures; of answers that have no tokens none.
        """
        demand = self._demand
        if demand.dialect is None and is_whole:
            return Usage()
        # Counted here, since whoever settles a call cannot wait.
        read = _count(demand.texts(), model) + demand.token_ids
        written = self._written(model, demand.dialect or "")
        if demand.is_unseen:
            # What comes later is paid by nobody else.
            written = max(written, demand.output_tokens or _UNSEEN_TOKENS)
            is_whole = False
        if not read and not written:
            return Usage()
        return Usage(read, written, source="counted" if is_whole else "partial")

    def _written(self, model: str, dialect: str) -> int:
        data = b"".join(each.data for each in self._pieces if isinstance(each, Passage))
        text = delivered_texts(dialect, data) if data else self._text()
        written = _count([text], model)
        return written * self._size // self._kept if self._kept else 0

    def fill(self, reported: Usage, model: str) -> Usage:
        """Say what has been used of an answer that has broken off.

        Args:
            reported: What the upstream has said before that. Anthropic says how long
                the question is at once, and of the answer one token.
            model: As for `count`.

        Returns:
            At least what was delivered.
        """
        counted = self.count(model, is_whole=False)
        if "none" in (reported.source, counted.source):
            return counted if reported.source == "none" else reported
        written = max(reported.output_tokens, counted.output_tokens)
        return replace(reported, output_tokens=written, source="partial")

    def _text(self) -> str:
        return "".join(
            each.text for each in self._pieces if isinstance(each, Chunk | ChatResponse)
        )


def _size(piece: Facts) -> int:
    if isinstance(piece, Passage):
        return len(piece.data)
    return len(piece.text) if isinstance(piece, Chunk | ChatResponse) else 0


def _count(texts: Sequence[str], model: str) -> int:
    text = "\n".join(texts)
    if not text:
        return 0
    counted = count_tokens([text[:_MOST_COUNTED]], model)
    return counted * len(text) // min(len(text), _MOST_COUNTED)

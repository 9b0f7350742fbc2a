"""Questions that mean the same as another one, whose answer is there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachebox import LRUCache

from llm_proxy.cache.key import cache_key
from llm_proxy.cache.wording import wording
from llm_proxy.types import ChatRequest, Text

if TYPE_CHECKING:
    from llm_proxy.cache.embedder import Embedder, Vector
    from llm_proxy.cache.question import Question

# How long a call waits for the vector of its question.
_WAIT_SECONDS = 0.1
# Of one wording, and wordings of all tenants: 25 MB of vectors at the most.
_MOST_ALIKE = 4
_MOST_WORDINGS = 4096

_SYSTEM = ("system", "developer")

# A tenant, and all that must be the same.
_Group = tuple[str, str]


class SemanticIndex:
    """Finds the kept answer to a question that means the same.

    It knows the names of answers and no answer itself: what the store has forgotten is
    not found here either.

    Args:
        embedder: Turns questions into vectors.
        threshold: The least cosine of two vectors that mean the same, up to 1.
    """

    def __init__(self, embedder: Embedder, threshold: float) -> None:
        self._embedder = embedder
        self._threshold = threshold
        self._groups: LRUCache[_Group, dict[str, Vector]] = LRUCache(_MOST_WORDINGS)

    def begin(
        self, tenant: str, question: Question, policy_version: str
    ) -> Likeness | None:
        """Begin to look for a question that means the same.

        Args:
            tenant: Whose questions are looked at.
            question: What is asked.
            policy_version: As of `cache_key`.

        Returns:
            What it is like; None for questions that are only compared as they are.
        """
        asked = question.asked
        if not isinstance(asked, ChatRequest):
            return None
        text = _only_text(asked)
        words = None if text is None else wording(text)
        if text is None or words is None:
            return None
        vector = self._embedder.start(text)
        if vector is None:
            return None
        # All that is no prose is compared as in a key.
        texts = (*asked.texts[:-1], words)
        alike = replace(question, asked=asked.with_texts(texts))
        key = cache_key(tenant, alike, policy_version)
        return Likeness(self, (tenant, key), vector)

    def nearest(self, group: _Group, vector: Vector) -> str | None:
        """Name the answer to the question that is most alike.

        Args:
            group: Where to look.
            vector: What is asked.

        Returns:
            The key of the answer; None if no question is alike.
        """
        known = self._groups.get(group) or {}
        alike = {key: float(each @ vector) for key, each in known.items()}
        best = max(alike, key=alike.__getitem__, default=None)
        return best if best is not None and alike[best] >= self._threshold else None

    def add(self, group: _Group, key: str, vector: Vector) -> None:
        """Remember a question whose answer is kept.

        Args:
            group: Where it belongs.
            key: The key of the answer.
            vector: What was asked.
        """
        known: dict[str, Vector] | None = self._groups.get(group)
        if known is None:
            self._groups.insert(group, {key: vector})
            return
        if key not in known and len(known) >= _MOST_ALIKE:
            del known[next(iter(known))]
        known[key] = vector

    def discard(self, group: _Group, key: str) -> None:
        """Forget a question whose answer is not kept any longer.

        Args:
            group: Where it was.
            key: The key of the answer.
        """
        if known := self._groups.get(group):
            known.pop(key, None)

    def purge(self, tenant: str | None) -> None:
        """Forget questions.

        Args:
            tenant: Whose; None for everybody's.
        """
        for group in [each for each in self._groups if tenant in (None, each[0])]:
            self._groups.pop(group, None)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a question is like.

    Attributes:
        index: Knows other questions.
        group: Where those are that may be alike.
        vector: What is asked, as soon as that is known.
    """

    index: SemanticIndex
    group: _Group
    vector: asyncio.Future[Vector]

    async def nearest(self) -> str | None:
        """Name the answer to the question that is most alike.

        Returns:
            Its key; None if there is none, or it is not known soon enough.
        """
        await asyncio.wait((self.vector,), timeout=_WAIT_SECONDS)
        if not self.vector.done() or self.vector.exception():
            return None
        return self.index.nearest(self.group, self.vector.result())

    def remember(self, key: str) -> None:
        """Remember the question as soon as it is known what it means.

        Args:
            key: The key of its answer, which is kept.
        """

        def learn(vector: asyncio.Future[Vector]) -> None:
            if not vector.cancelled() and not vector.exception():
                self.index.add(self.group, key, vector.result())

        self.vector.add_done_callback(learn)

    def discard(self, key: str) -> None:
        """Forget a question that was found, but whose answer is gone.

        Args:
            key: The key of that answer.
        """
        self.index.discard(self.group, key)


def _only_text(asked: ChatRequest) -> str | None:
    """What a user says who says one thing, after the system at the most."""
    turns = [each for each in asked.messages if each.role not in _SYSTEM]
    if len(turns) != 1 or turns[0].role != "user" or turns[0] is not asked.messages[-1]:
        return None
    content = turns[0].content
    if len(content) != 1 or not isinstance(content[0], Text):
        return None
    return content[0].text

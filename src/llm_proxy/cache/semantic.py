"""Questions that mean the same as another one, whose answer is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachebox import LRUCache

from llm_proxy.cache.key import cache_key
from llm_proxy.cache.meaning import Meaning, Prose
from llm_proxy.cache.wording import wording
from llm_proxy.types import ChatRequest, Text

if TYPE_CHECKING:
    from llm_proxy.cache.question import Question

# Groups of all tenants, and questions in each: 20 MB at the most, with their vectors.
_MOST_GROUPS = 2048
_MOST_ALIKE = 4
_SYSTEM = ("system", "developer")

# A tenant, and a key of all that must be the same.
_Group = tuple[str, str]


class SemanticIndex:
    """Knows for which questions there is an answer.

    It has the keys of answers and no answer itself: what the store has forgotten is not
    found here either.

    Args:
        meaning: Compares questions.
        threshold: The least cosine of two questions that mean the same, up to 1.
    """

    def __init__(self, meaning: Meaning, threshold: float) -> None:
        self._meaning = meaning
        self._threshold = threshold
        self._groups: LRUCache[_Group, dict[str, Prose]] = LRUCache(_MOST_GROUPS)

    def place(
        self, tenant: str, question: Question, policy_version: str
    ) -> Place | None:
        """Say where a question stands among others.

        Args:
            tenant: Who asks; others' questions are elsewhere.
            question: What is asked.
            policy_version: As of `cache_key`.

        Returns:
            Its place; None for a question that is only answered as it is.
        """
        asked = question.asked
        if not isinstance(asked, ChatRequest):
            return None
        text = _only_text(asked)
        words = wording(text)
        if words is None:
            return None
        # All but the prose is compared as in the key of an answer.
        framed = asked.with_texts((*asked.texts[:-1], words))
        alike = cache_key(tenant, replace(question, asked=framed), policy_version)
        return Place(self, (tenant, alike), Prose(text))

    async def nearest(self, group: _Group, prose: Prose) -> str | None:
        """Find the question that is most alike.

        Args:
            group: Where to look.
            prose: What is asked.

        Returns:
            The key of its answer; None if none is alike, or that takes too long.
        """
        known = dict(self._known(group))
        if not known:
            return None
        cosines = await self._meaning.compare(prose, tuple(known.values()))
        if cosines is None:
            return None
        cosine, key = max(zip(cosines, known, strict=True))
        return key if cosine >= self._threshold else None

    def add(self, group: _Group, key: str, prose: Prose) -> None:
        """Remember a question.

        Args:
            group: Where it belongs.
            key: The key of its answer, which is kept.
            prose: What was asked.
        """
        known = self._known(group)
        if key not in known and len(known) >= _MOST_ALIKE:
            del known[next(iter(known))]
        self._groups.insert(group, known | {key: prose})

    def discard(self, group: _Group, key: str) -> None:
        """Forget a question.

        Args:
            group: Where it was.
            key: The key of its answer.
        """
        self._known(group).pop(key, None)

    def purge(self, tenant: str | None) -> None:
        """Forget questions.

        Args:
            tenant: Whose; None for everybody's.
        """
        for group in [each for each in self._groups if tenant in (None, each[0])]:
            self._groups.pop(group, None)

    def _known(self, group: _Group) -> dict[str, Prose]:
        known: dict[str, Prose] | None = self._groups.get(group)
        return {} if known is None else known


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question stands among those that may mean the same.

    Attributes:
        index: Knows them.
        group: Where they are.
        prose: What is asked.
    """

    index: SemanticIndex
    group: _Group
    prose: Prose

    async def nearest(self) -> str | None:
        """Find the question that is most alike.

        Returns:
            As `SemanticIndex.nearest`.
        """
        return await self.index.nearest(self.group, self.prose)

    def add(self, key: str) -> None:
        """Remember the question.

        Args:
            key: The key of its answer, which is kept.
        """
        self.index.add(self.group, key, self.prose)

    def discard(self, key: str) -> None:
        """Forget a question whose answer is gone.

        Args:
            key: The key of that answer.
        """
        self.index.discard(self.group, key)


def _only_text(asked: ChatRequest) -> str:
    """What a user says who says one thing, after the system at the most; else empty."""
    turns = [each for each in asked.messages if each.role not in _SYSTEM]
    if len(turns) != 1 or turns[0].role != "user" or turns[0] is not asked.messages[-1]:
        return ""
    content = turns[0].content
    if len(content) != 1 or not isinstance(content[0], Text):
        return ""
    return content[0].text

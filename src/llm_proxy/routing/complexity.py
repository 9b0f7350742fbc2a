"""How hard a prompt is, and so which model should answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_LONG = 500
_PER_QUESTION = 0.1
# More of a prompt tells no more about it.
_MOST_EXAMINED = 20_000

Level = Literal["simple", "fast", "complex"]


@dataclass(frozen=True, slots=True)
class Complexity:
    """The score of one prompt, and what it is made of.

    Attributes:
        score: From 0 to 1: the mean of the three.
        length: Characters, of which 500 are all that counts.
        questions: A tenth per question mark.
        keywords: 1 if there is one.
    """

    score: float
    length: float
    questions: float
    keywords: float

    def level(self, thresholds: tuple[float, float]) -> Level:
        """Say which kind of model is right.

        Args:
            thresholds: The scores from which a prompt is not simple, and complex.

        Returns:
            The level.
        """
        if self.score < thresholds[0]:
            return "simple"
        return "fast" if self.score < thresholds[1] else "complex"


def score(prompt: str, keywords: Sequence[str]) -> Complexity:
    """Score a prompt.

    The formula is that of the design documents, SEED-REQUIREMENTS PERF-08.

    Args:
        prompt: The text.
        keywords: Words that make it complex, in any case.

    Returns:
        The score.
    """
    text = prompt[:_MOST_EXAMINED].lower()
    length = min(len(prompt) / _LONG, 1.0)
    questions = text.count("?") * _PER_QUESTION
    has_keyword = float(any(word.lower() in text for word in keywords))
    total = min((length + questions + has_keyword) / 3, 1.0)
    return Complexity(total, length, questions, has_keyword)

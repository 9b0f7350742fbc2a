"""Log probabilities of the sandbox's tokens: made up, but always the same."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """How likely a token was.

    Attributes:
        token: Its text.
        logprob: The natural logarithm of its probability.
        alternatives: The likeliest tokens at its place and their log probabilities,
            the token itself first.
    """

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


def probabilities_of(
    pieces: Iterable[str], alternatives: int
) -> list[TokenProbability]:
    """Make up the log probabilities of a text.

    Args:
        pieces: The text, one token each.
        alternatives: How many tokens to report for each place.

    Returns:
        One entry for each piece. The first alternative has half of the probability
        and every other one half of the one before it.
    """
    return [_probability_of(piece, alternatives) for piece in pieces]


def _probability_of(piece: str, alternatives: int) -> TokenProbability:
    tokens = [piece, *(f"{piece}{rank}" for rank in range(1, alternatives))]
    ranked = [
        (token, -math.log(2) * rank) for rank, token in enumerate(tokens, start=1)
    ]
    return TokenProbability(piece, ranked[0][1], tuple(ranked[:alternatives]))

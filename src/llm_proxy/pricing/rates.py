"""What each kind of token costs."""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from llm_proxy.types import Usage

# More digits than the product of any price and any number of tokens has.
_PRECISION = 64


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of one call, in US dollars per million tokens.

    Attributes:
        input: Of the prompt.
        output: Of the answer.
        cached_input: Of the part of the prompt that was read from the cache.
        cache_write: Of the part of the prompt that was written to the cache.
        reasoning: Of the part of the answer that is thoughts.
        call: Of the call itself, in US dollars.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal
    reasoning: Decimal
    call: Decimal = Decimal(0)

    def cost(self, usage: Usage) -> Decimal:
        """Say what a call has cost.

        Args:
            usage: Its tokens. A part that is larger than the whole counts as the whole,
                and less than nothing as nothing.

        Returns:
            US dollars, exact and never negative; 0 without tokens.
        """
        prompt, answer = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
        if not prompt and not answer:
            return Decimal(0)
        cached = _part(usage.cached_tokens, prompt)
        written = _part(usage.cache_write_tokens, prompt - cached)
        thoughts = _part(usage.reasoning_tokens, answer)
        with localcontext(prec=_PRECISION):
            millionths = (
                (prompt - cached - written) * self.input
                + cached * self.cached_input
                + written * self.cache_write
                + (answer - thoughts) * self.output
                + thoughts * self.reasoning
            )
            return millionths.scaleb(-6) + self.call


FREE = Rates(*[Decimal(0)] * 5)


def _part(tokens: int, whole: int) -> int:
    return min(max(tokens, 0), whole)

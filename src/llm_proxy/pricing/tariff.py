"""The prices of a model in the price catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_proxy.pricing.rates import FREE, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, TieredPrices

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a model costs, by the time of the call and the length of its prompt.

    Prices begin on a day, some differ by night, and long prompts may cost more.

    Attributes:
        model: The model as the catalogue has it.
    """

    model: ModelInfo

    @property
    def flat_rates(self) -> Rates | None:
        """The prices of all calls; None if they differ by time or by length."""
        prices = self.model.prices
        if isinstance(prices, list):
            return None
        kinds = vars(prices).values()
        if not all(price is None or isinstance(price, Decimal) for price in kinds):
            return None
        return self.rates(0, datetime.now(UTC))

    def rates(self, input_tokens: int, at: datetime) -> Rates | None:
        """Say what a call costs.

        Args:
            input_tokens: The length of its prompt. The price of all tokens depends on
                it, not only of those beyond a threshold.
            at: When it is made.

        Returns:
            The prices; None if the model is not paid for by tokens, or nobody knows.
        """
        prices = {
            unit: _for_length(price, input_tokens)
            for unit, price in vars(self.model.get_prices(at)).items()
            if price is not None
        }
        plain = prices.get("input_mtok")
        if plain is None:
            # What is free has no prices there, and neither has what nobody knows.
            return FREE if self.model.id.endswith(":free") else None
        answer = prices.get("output_mtok", _NOTHING)
        return Rates(
            input=plain,
            output=answer,
            cached_input=prices.get("cache_read_mtok", plain),
            cache_write=prices.get("cache_write_mtok", plain),
            reasoning=prices.get("output_reasoning_mtok", answer),
            call=prices.get("requests_kcount", _NOTHING).scaleb(-3),
        )


def _for_length(price: Decimal | TieredPrices, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    longer = (tier.price for tier in reversed(price.tiers) if input_tokens > tier.start)
    return next(longer, price.base)

"""What an attempt has cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from llm_proxy.config import PriceConfig, ProviderConfig, ProxyConfig
from llm_proxy.ledger.entry import NANO_DOLLAR, Cost, CostSource
from llm_proxy.pricing import FREE, PriceCatalogue, Rates, Tariff
from llm_proxy.types import Usage

# Upstreams of our own, on this machine.
_OWN = frozenset({"local", "sandbox"})
# APIs that nobody else speaks: whatever a provider is called, these vendors sell there.
_VENDOR_APIS = frozenset({"azure", "bedrock", "gemini"})
_MAX_KEPT = 4096
# What a whole number of the database holds, in dollars.
_MAX_DOLLARS = Decimal(2**63 - 1).scaleb(-9)


@dataclass(frozen=True, slots=True)
class _Quote:
    source: CostSource
    price: Rates | Tariff

    def rates(self, input_tokens: int) -> Rates | None:
        if isinstance(self.price, Rates):
            return self.price
        return self.price.rates(input_tokens, datetime.now(UTC))


class Costs:
    """Says what attempts cost.

    The first question about a model that is not in the configuration loads the price
    catalogue, which takes half a second.

    Args:
        catalogue: Knows the list prices.
        config: Its prices come before the catalogue's.
    """

    def __init__(self, catalogue: PriceCatalogue, config: ProxyConfig) -> None:
        self._catalogue = catalogue
        self._configured = _Configured(config.prices)
        self._providers = {
            name.lower(): each for name, each in config.providers.items()
        }
        self._quote = lru_cache(_MAX_KEPT)(self._look_up)

    def of(
        self,
        provider: str,
        model: str,
        usage: Usage,
        reported: Decimal | None = None,
        answered_model: str | None = None,
    ) -> Cost:
        """Say what an attempt has cost.

        Args:
            provider: Who was asked.
            model: The provider's name of the model.
            usage: The tokens.
            reported: What the upstream says that it has cost, in US dollars. It is
                believed, unless no call can cost that.
            answered_model: The model that the upstream says has answered. It has the
                price if `model` has none, as deployments at Azure have, whose names are
                their owner's.

        Returns:
            The cost, rounded once, to the nearest billionth of a dollar, half to even.
        """
        if (
            reported is not None
            and reported.is_finite()
            and 0 <= reported <= _MAX_DOLLARS
        ):
            return Cost(_nanos(reported), "provider")
        if usage.source == "none":
            return Cost(0, "none")
        quote = self._quote(provider, model)
        if quote is None and answered_model is not None:
            quote = self._quote(provider, answered_model)
        rates = None if quote is None else quote.rates(usage.input_tokens)
        if quote is None or rates is None:
            return Cost(0, "unknown")
        return Cost(_nanos(rates.cost(usage)), quote.source)

    def is_priced(self, provider: str, model: str) -> bool:
        """Tell whether the cost of a model is known before it is asked.

        Args:
            provider: Its provider.
            model: The provider's name of it.

        Returns:
            True for what costs nothing, too.
        """
        return self._quote(provider, model) is not None

    def _look_up(self, provider: str, model: str) -> _Quote | None:
        provider = provider.lower()
        rates = self._configured.find(f"{provider}/{model}")
        if rates is not None:
            return _Quote("configured", rates)
        if provider in _OWN:
            return _Quote("none", FREE)
        tariff = self._catalogue.tariff(self._seller(provider), model)
        if tariff is None or tariff.rates(0, datetime.now(UTC)) is None:
            return None
        return _Quote("catalogue", tariff)

    def _seller(self, provider: str) -> str:
        """Name the catalogue's provider behind one that the operator has named."""
        config = self._providers.get(provider, ProviderConfig())
        if config.api in _VENDOR_APIS:
            return config.api
        if config.base_url is None:
            return provider
        return self._catalogue.seller_at(config.base_url) or provider


class _Configured:
    """The prices of llm-proxy.yaml; the longest name that fits has the price."""

    def __init__(self, prices: Mapping[str, PriceConfig]) -> None:
        rates = {name.lower(): _rates(price) for name, price in prices.items()}
        self._exact = rates
        self._prefixes = {
            name[:-1]: rates[name]
            for name in sorted(rates, key=len, reverse=True)
            if name.endswith("*")
        }

    def find(self, name: str) -> Rates | None:
        name = name.lower()
        if name in self._exact:
            return self._exact[name]
        fitting = (
            rates for prefix, rates in self._prefixes.items() if name.startswith(prefix)
        )
        return next(fitting, None)


def _rates(price: PriceConfig) -> Rates:
    def given(dollars: Decimal | None, otherwise: Decimal) -> Decimal:
        return otherwise if dollars is None else dollars

    return Rates(
        input=price.input,
        output=price.output,
        cached_input=given(price.cached_input, price.input),
        cache_write=given(price.cache_write, price.input),
        reasoning=given(price.reasoning, price.output),
    )


def _nanos(dollars: Decimal) -> int:
    rounded = min(dollars, _MAX_DOLLARS).quantize(NANO_DOLLAR, ROUND_HALF_EVEN)
    return int(rounded.scaleb(9))

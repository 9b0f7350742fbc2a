"""What an attempt has cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
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
        self._written = lru_cache(_MAX_KEPT)(_written)
        self._dearest = lru_cache(_MAX_KEPT)(_dearest)

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
        price = "" if quote.source == "none" else self._written(rates)
        return Cost(_nanos(rates.cost(usage)), quote.source, price)

    def most(
        self, targets: Sequence[tuple[str, str]], input_tokens: int, output_tokens: int
    ) -> int:
        """Say what a call may cost before it is made.

        Args:
            targets: The providers and models that may answer; one of them will.
            input_tokens: The length of the prompt.
            output_tokens: The most that the answer may have.

        Returns:
            Billionths of a US dollar, rounded up: what the dearest of them takes if all
            tokens are of the dearest kind. Models whose price nobody knows take
            nothing.
        """
        return max(
            (self._most(*target, input_tokens, output_tokens) for target in targets),
            default=0,
        )

    def _most(
        self, provider: str, model: str, input_tokens: int, output_tokens: int
    ) -> int:
        quote = self._quote(provider, model)
        rates = None if quote is None else quote.rates(input_tokens)
        if rates is None:
            return 0
        prompt, answer = self._dearest(rates)
        millionths = input_tokens * prompt + output_tokens * answer
        return _nanos(millionths.scaleb(-6) + rates.call, ROUND_CEILING)

    def price(self, provider: str, model: str) -> Rates | None:
        """Say what a model costs, for a prompt that is short.

        Args:
            provider: Its provider.
            model: The provider's name of it.

        Returns:
            The prices; None if nobody knows them.
        """
        quote = self._quote(provider, model)
        return None if quote is None else quote.rates(0)

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
        return _Quote("catalogue", tariff.flat_rates or tariff)

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


def _written(rates: Rates) -> str:
    """Write prices the way the ledger keeps them, without those that are nothing new.

    By hand, because JSON's encoders know no decimals; the longest fit their column.
    """
    kinds = {"input": rates.input, "output": rates.output}
    if rates.cached_input != rates.input:
        kinds["cached_input"] = rates.cached_input
    if rates.cache_write != rates.input:
        kinds["cache_write"] = rates.cache_write
    if rates.reasoning != rates.output:
        kinds["reasoning"] = rates.reasoning
    if rates.call:
        kinds["call"] = rates.call
    members = [f'"{kind}":{price}' for kind, price in kinds.items()]
    return f"{{{','.join(members)}}}"


def _dearest(rates: Rates) -> tuple[Decimal, Decimal]:
    """Say what a token of the prompt and one of the answer cost at most, in millionths.

    A reservation must not be less than what is billed in the end.
    """
    return (
        max(rates.input, rates.cached_input, rates.cache_write),
        max(rates.output, rates.reasoning),
    )


def _nanos(dollars: Decimal, rounding: str = ROUND_HALF_EVEN) -> int:
    rounded = min(dollars, _MAX_DOLLARS).quantize(NANO_DOLLAR, rounding)
    return int(rounded.scaleb(9))

from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, TieredPrices

from llm_proxy.pricing import PriceCatalogue, Tariff
from llm_proxy.types import Usage

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODELS = [model for provider in providers for model in provider.models]


@pytest.fixture(scope="module")
def catalogue():
    return PriceCatalogue()


@pytest.mark.parametrize(
    "usage",
    [
        Usage(1, 1),
        Usage(12_345, 678, cached_tokens=1000, cache_write_tokens=345),
        Usage(1_500_000, 70_001, cached_tokens=999_999, reasoning_tokens=70_000),
    ],
)
def test_costs_are_those_of_the_package(usage):
    theirs = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    compared = 0
    for provider in providers:
        for model in provider.models:
            rates = Tariff(model).rates(usage.input_tokens, AT)
            if rates is not None:
                price = model.calc_price(theirs, provider, genai_request_timestamp=AT)
                assert rates.cost(usage) == price.total_price, (provider.id, model.id)
                compared += 1
    assert compared > 2000


def test_long_prompts_cost_more_from_the_first_token(catalogue):
    tariff = catalogue.tariff("anthropic", "claude-sonnet-4-5")
    short, long = tariff.rates(200_000, AT), tariff.rates(200_001, AT)
    assert (short.input, long.input) == (Decimal(3), Decimal(6))
    assert (short.cached_input, long.cached_input) == (Decimal("0.3"), Decimal("0.6"))
    assert (short.cache_write, long.cache_write) == (Decimal("3.75"), Decimal("7.5"))
    assert (short.output, long.output) == (Decimal(15), Decimal("22.5"))


@pytest.mark.parametrize(
    ("at", "dollars"),
    [("00:29", "0.135"), ("00:30", "0.27"), ("16:29", "0.27"), ("16:30", "0.135")],
)
def test_nights_are_cheaper(catalogue, at, dollars):
    moment = datetime.fromisoformat(f"2026-11-21T{at}+00:00")
    rates = catalogue.tariff("deepseek", "deepseek-chat").rates(1, moment)
    assert rates.input == Decimal(dollars)


def test_prices_begin_on_their_day(catalogue):
    tariff = catalogue.tariff("bedrock", "openai.gpt-5.6-sol")
    before = tariff.rates(1, datetime(2026, 8, 20, 23, 59, tzinfo=UTC))
    after = tariff.rates(1, datetime(2026, 8, 21, tzinfo=UTC))
    assert after.input == Decimal("4.4") != before.input


def test_a_cache_without_a_price_costs_the_input(catalogue):
    rates = catalogue.tariff("groq", "llama-3.3-70b-versatile").rates(1, AT)
    assert rates.cached_input == rates.cache_write == rates.input == Decimal("0.59")
    assert rates.reasoning == rates.output == Decimal("0.79")


def test_some_charge_for_the_call(catalogue):
    rates = catalogue.tariff("perplexity", "sonar").rates(1, AT)
    assert rates.cost(Usage(1_000_000, 0)) == Decimal("1.012")


@pytest.mark.parametrize(
    ("provider", "name"), [("openai", "whisper-1"), ("cerebras", "qwen-3-coder-480b")]
)
def test_who_is_not_paid_by_tokens_has_no_rates(catalogue, provider, name):
    assert catalogue.tariff(provider, name).rates(1, AT) is None


def test_free_models_cost_nothing(catalogue):
    name = "meta-llama/llama-3.3-70b-instruct:free"
    rates = catalogue.tariff("openrouter", name).rates(1, AT)
    assert rates.cost(Usage(10**9, 10**9)) == 0


@pytest.mark.parametrize(
    ("provider", "name"), [("nobody", "gpt-4o"), ("openai", "nothing")]
)
def test_unknown_models_have_no_tariff(catalogue, provider, name):
    assert catalogue.tariff(provider, name) is None


def test_no_long_prompt_is_cheaper():
    """What makes costs grow with tokens: see the properties of costs."""
    seen = 0
    for model in MODELS:
        periods = model.prices if isinstance(model.prices, list) else [model.prices]
        for period in periods:
            prices = period.prices if isinstance(period, ConditionalPrice) else period
            for price in vars(prices).values():
                if isinstance(price, TieredPrices):
                    steps = [price.base, *(tier.price for tier in price.tiers)]
                    assert steps == sorted(steps), model.id
                    seen += 1
    assert seen

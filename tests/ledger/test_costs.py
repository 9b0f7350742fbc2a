import json
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_proxy.config import PriceConfig, ProviderConfig, ProxyConfig
from llm_proxy.ledger import Cost, Costs
from llm_proxy.pricing import PriceCatalogue
from llm_proxy.types import Usage

CATALOGUE = PriceCatalogue()


class Sums(Costs):
    """Says what attempts cost, but not at which prices."""

    def of(self, *attempt, **fields):
        return replace(super().of(*attempt, **fields), price="")


COSTS = Sums(CATALOGUE, ProxyConfig())
MILLION = Usage(1_000_000, 1_000_000, source="provider")

# Provider and model; dollars per million tokens of the prompt, of what is read from the
# cache and written to it, and of the answer.
WELL_KNOWN = [
    ("openai", "gpt-4o", "2.5", "1.25", "2.5", "10"),
    ("openai", "gpt-4o-mini", "0.15", "0.075", "0.15", "0.6"),
    ("openai", "gpt-4.1", "2", "0.5", "2", "8"),
    ("openai", "o3", "2", "0.5", "2", "8"),
    ("openai", "gpt-5", "1.25", "0.125", "1.25", "10"),
    ("anthropic", "claude-haiku-4-5", "1", "0.1", "1.25", "5"),
    ("anthropic", "claude-opus-4-1", "15", "1.5", "18.75", "75"),
    ("gemini", "gemini-2.5-flash", "0.3", "0.03", "0.3", "2.5"),
    ("mistral", "mistral-large-latest", "2", "2", "2", "6"),
    ("groq", "llama-3.3-70b-versatile", "0.59", "0.59", "0.59", "0.79"),
    ("xai", "grok-3", "3", "0.75", "3", "15"),
]
# Long prompts cost more from their first token on.
TIERED = [
    ("anthropic", "claude-sonnet-4-5", 200_000),
    ("gemini", "gemini-2.5-pro", 200_000),
]
FLAT = [(provider, model) for provider, model, *_ in WELL_KNOWN]


@st.composite
def usages(draw: st.DrawFn, most: int = 10_000_000) -> Usage:
    prompt, answer = draw(st.integers(0, most)), draw(st.integers(0, most))
    cached = draw(st.integers(0, prompt))
    written = draw(st.integers(0, prompt - cached))
    thoughts = draw(st.integers(0, answer))
    return Usage(prompt, answer, cached, written, thoughts, source="provider")


def plus(a: Usage, b: Usage) -> Usage:
    return Usage(
        a.input_tokens + b.input_tokens,
        a.output_tokens + b.output_tokens,
        a.cached_tokens + b.cached_tokens,
        a.cache_write_tokens + b.cache_write_tokens,
        a.reasoning_tokens + b.reasoning_tokens,
        source="provider",
    )


def configured(**prices: object) -> Costs:
    return Sums(CATALOGUE, ProxyConfig.model_validate({"prices": prices}))


class TestProperties:
    @pytest.mark.parametrize("row", WELL_KNOWN, ids=lambda row: row[1])
    @given(usage=usages())
    def test_exact(self, row, usage):
        provider, model, *prices = row
        plain, cached, written, answer = map(Fraction, prices)
        dollars_per_million = (
            (usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
            * plain
            + usage.cached_tokens * cached
            + usage.cache_write_tokens * written
            + usage.output_tokens * answer
        )
        # Fractions round half to even, too.
        expected = Cost(round(dollars_per_million * 1000), "catalogue")
        assert COSTS.of(provider, model, usage) == expected

    @given(st.sampled_from(FLAT), usages(), usages())
    def test_additive(self, target, first, second):
        apart = COSTS.of(*target, first).nanos + COSTS.of(*target, second).nanos
        assert abs(COSTS.of(*target, plus(first, second)).nanos - apart) <= 1

    @given(
        st.sampled_from(FLAT + [(provider, model) for provider, model, _ in TIERED]),
        usages(),
        st.integers(0, 1_000_000),
        st.sampled_from(["input_tokens", "output_tokens"]),
    )
    def test_monotone(self, target, usage, tokens, kind):
        more = replace(usage, **{kind: getattr(usage, kind) + tokens})
        assert COSTS.of(*target, usage).nanos <= COSTS.of(*target, more).nanos

    @pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "xai"])
    @given(usage=usages())
    def test_the_cache_is_never_dearer(self, provider, usage):
        warm = replace(usage, cache_write_tokens=0)
        cold = replace(warm, cached_tokens=0)
        for model in CATALOGUE.models(provider):
            dearer, cheaper = (
                COSTS.of(provider, model.name, each).nanos for each in (cold, warm)
            )
            assert cheaper <= dearer, model.name

    @given(
        st.sampled_from([*FLAT, ("nobody", "nothing")]),
        st.lists(st.integers(), min_size=5, max_size=5),
        st.none() | st.decimals(),
    )
    @example(("openai", "gpt-4o"), [10**40] * 5, None)
    def test_never_negative_and_always_a_number_of_the_database(
        self, target, tokens, reported
    ):
        cost = COSTS.of(*target, Usage(*tokens, source="provider"), reported)
        assert type(cost.nanos) is int
        assert 0 <= cost.nanos < 2**63

    @given(st.sampled_from(FLAT))
    def test_no_tokens_cost_nothing(self, target):
        assert COSTS.of(*target, Usage(source="provider")).nanos == 0


class TestSource:
    def test_reported_costs_win(self):
        costs = configured(**{"openai/gpt-4o": {"input": 1, "output": 1}})
        reported = Decimal("0.00123456789")
        cost = costs.of("openai", "gpt-4o", MILLION, reported)
        assert cost == Cost(1_234_568, "provider")

    def test_nothing_reported_is_nothing_to_pay(self):
        assert COSTS.of("openai", "gpt-4o", MILLION, Decimal(0)) == Cost(0, "provider")

    def test_reported_costs_need_no_tokens(self):
        assert COSTS.of("a", "b", Usage(), Decimal(1)) == Cost(10**9, "provider")

    @pytest.mark.parametrize("reported", ["-0.01", "NaN", "sNaN", "Infinity", "1e10"])
    def test_what_no_call_can_cost_is_not_believed(self, reported):
        cost = COSTS.of("openai", "gpt-4o", MILLION, Decimal(reported))
        assert cost == Cost(12_500_000_000, "catalogue")

    def test_configured_prices_come_before_the_catalogue(self):
        costs = configured(**{"openai/gpt-4o": {"input": 1, "output": 2}})
        assert costs.of("openai", "gpt-4o", MILLION) == Cost(3 * 10**9, "configured")
        assert costs.of("openai", "gpt-4o-mini", MILLION).source == "catalogue"

    def test_what_nobody_prices_is_unknown(self):
        assert COSTS.of("vllm", "llama", MILLION) == Cost(0, "unknown")
        assert COSTS.of("openai", "whisper-1", MILLION) == Cost(0, "unknown")

    @pytest.mark.parametrize("model", ["gpt-4o", "nothing"])
    def test_without_usage_there_is_nothing_to_pay(self, model):
        assert COSTS.of("openai", model, Usage()) == Cost(0, "none")

    @pytest.mark.parametrize("provider", ["local", "sandbox", "Sandbox"])
    def test_our_own_upstreams_are_free(self, provider):
        assert COSTS.of(provider, "anything", MILLION) == Cost(0, "none")

    def test_unless_the_operator_charges_for_them(self):
        costs = configured(**{"sandbox/*": {"input": 1, "output": 0}})
        assert costs.of("sandbox", "echo", MILLION) == Cost(10**9, "configured")


class TestConfigured:
    @pytest.mark.parametrize(
        ("model", "dollars"),
        [("llama-70b", 3), ("llama-8b", 2), ("qwen", 1), ("LLAMA-70B", 3), ("", 1)],
    )
    def test_the_longest_name_that_fits_has_the_price(self, model, dollars):
        costs = configured(
            **{
                "vllm/*": {"input": 1, "output": 0},
                "vllm/Llama-*": {"input": 2, "output": 0},
                "vllm/llama-70b": {"input": 3, "output": 0},
            }
        )
        cost = costs.of("vllm", model, Usage(1_000_000, source="provider"))
        assert cost == Cost(dollars * 10**9, "configured")

    def test_free_models(self):
        costs = configured(**{"ollama/*": 0})
        assert costs.of("ollama", "llama3.2", MILLION) == Cost(0, "configured")
        assert costs.of("ollama2", "llama3.2", MILLION) == Cost(0, "unknown")

    @pytest.mark.parametrize(
        ("prices", "dollars"),
        [
            ({}, 2 + 30),
            ({"cached_input": "0.5"}, 1 + 0.5 + 30),
            ({"cache_write": "1.5"}, 1 + 1.5 + 30),
            ({"reasoning": 0}, 2),
            ({"cached_input": 0, "cache_write": 0, "reasoning": 60}, 60),
        ],
    )
    def test_what_has_no_price_of_its_own_has_that_of_the_whole(self, prices, dollars):
        costs = configured(**{"a/b": {"input": 1, "output": 30, **prices}})
        usage = Usage(
            2_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, source="provider"
        )
        assert costs.of("a", "b", usage).nanos == dollars * 10**9

    @pytest.mark.parametrize(("tokens", "nanos"), [(1, 0), (3, 2), (5, 2), (7, 4)])
    def test_halves_are_rounded_to_even_once(self, tokens, nanos):
        costs = configured(**{"a/b": {"input": "0.0005", "output": "0.0005"}})
        with localcontext(rounding=ROUND_CEILING):
            assert costs.of("a", "b", Usage(tokens, source="provider")).nanos == nanos
        halves = Usage(tokens, tokens, source="provider")
        assert costs.of("a", "b", halves).nanos == tokens

    def test_prices_are_no_floats(self):
        price = PriceConfig.model_validate({"input": 0.1, "output": 0.3})
        costs = Costs(CATALOGUE, ProxyConfig(prices={"a/b": price}))
        assert costs.of("a", "b", MILLION).nanos == 400_000_000


class TestNames:
    @pytest.mark.parametrize(
        ("provider", "model", "dollars"),
        [
            ("azure", "gpt-4o", "12.5"),
            ("azure", "gpt-4o-2024-08-06", "12.5"),
            ("azure", "gpt-35-turbo", "2"),
            ("openai", "gpt-4o-2024-05-13", "20"),
            ("openai", "gpt-4o-2099-01-01", "12.5"),
            ("openai", "ft:gpt-4o-2024-08-06:org::id", "18.75"),
            ("anthropic", "claude-haiku-4-5-20251001", "6"),
            ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0", "6.6"),
            ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "6.6"),
            ("bedrock", "apac.anthropic.claude-haiku-4-5-20251001-v1:0", "6.6"),
            ("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "6"),
            (
                "bedrock",
                "arn:aws:bedrock:us-east-1:1:inference-profile/"
                "us.anthropic.claude-haiku-4-5-20251001-v1:0",
                "6.6",
            ),
            ("bedrock", "eu.amazon.nova-pro-v1:0", "4"),
            ("OpenAI", "GPT-4o", "12.5"),
            ("gemini", "models/gemini-2.5-flash", "2.8"),
            ("openrouter", "meta-llama/llama-3.3-70b-instruct:free", "0"),
        ],
    )
    def test_spellings_of_providers(self, provider, model, dollars):
        cost = COSTS.of(provider, model, MILLION)
        assert cost == Cost(int(Decimal(dollars) * 10**9), "catalogue")

    def test_deployments_have_the_price_of_the_model_that_answers(self):
        answered = COSTS.of(
            "azure", "ours", MILLION, answered_model="gpt-4o-2024-08-06"
        )
        assert answered == COSTS.of("azure", "gpt-4o", MILLION)

    def test_what_was_asked_for_has_the_first_word(self):
        cost = COSTS.of("openai", "gpt-4o", MILLION, answered_model="gpt-4o-mini")
        assert cost == COSTS.of("openai", "gpt-4o", MILLION)

    @pytest.mark.parametrize(
        ("provider", "model", "original"),
        [
            ({"api": "azure"}, "gpt-4o", "openai"),
            ({"api": "gemini"}, "gemini-2.5-flash", "gemini"),
            ({"base_url": "https://api.openai.com/v1"}, "gpt-4o", "openai"),
            ({"base_url": "https://api.x.ai/v1"}, "grok-3", "xai"),
        ],
    )
    def test_providers_of_the_operator_sell_what_their_vendor_does(
        self, provider, model, original
    ):
        config = ProxyConfig(providers={"Second": ProviderConfig(**provider)})
        cost = Sums(CATALOGUE, config).of("second", model, MILLION)
        assert cost == COSTS.of(original, model, MILLION)
        assert cost.source == "catalogue"

    def test_providers_elsewhere_have_no_list_prices(self):
        provider = ProviderConfig(base_url="http://vllm:8000/v1")
        costs = Costs(CATALOGUE, ProxyConfig(providers={"vllm-eu": provider}))
        assert costs.of("vllm-eu", "gpt-4o", MILLION) == Cost(0, "unknown")


class TestIsPriced:
    @pytest.mark.parametrize(
        ("provider", "model", "priced"),
        [
            ("openai", "gpt-4o", True),
            ("OpenAI", "gpt-4o", True),
            ("sandbox", "anything", True),
            ("ours", "anything", True),
            ("openrouter", "meta-llama/llama-3.3-70b-instruct:free", True),
            ("openai", "whisper-1", False),
            ("openai", "nothing", False),
            ("vllm", "llama", False),
            ("azure", "ours", False),
        ],
    )
    def test_only_what_has_a_price(self, provider, model, priced):
        assert configured(**{"ours/*": 0}).is_priced(provider, model) is priced


def numbers(price: str) -> dict[str, Decimal]:
    """Reads prices as the ledger keeps them."""
    return json.loads(price, parse_float=Decimal, parse_int=Decimal)


class TestPrices:
    @pytest.mark.parametrize(
        ("provider", "model", "tokens", "price"),
        [
            (
                "anthropic",
                "claude-haiku-4-5",
                1,
                {"input": "1", "output": "5", "cached_input": "0.1"}
                | {"cache_write": "1.25"},
            ),
            (
                "gemini",
                "gemini-2.5-pro",
                1,
                {"input": "1.25", "output": "10", "cached_input": "0.125"},
            ),
            (
                "gemini",
                "gemini-2.5-pro",
                200_001,
                {"input": "2.5", "output": "15", "cached_input": "0.25"},
            ),
            ("ours", "plain", 1, {"input": "1e-15", "output": "30"}),
            ("ours", "thinks", 1, {"input": "1", "output": "2", "reasoning": "3"}),
            ("ours", "free", 1, {"input": "0", "output": "0"}),
        ],
    )
    def test_prices_stand_beside_the_cost(self, provider, model, tokens, price):
        prices = {
            "ours/plain": {"input": "1e-15", "output": 30},
            "ours/thinks": {"input": 1, "output": 2, "reasoning": 3},
            "ours/free": 0,
        }
        costs = Costs(CATALOGUE, ProxyConfig.model_validate({"prices": prices}))
        usage = Usage(tokens, source="counted")
        assert numbers(costs.of(provider, model, usage).price) == {
            kind: Decimal(dollars) for kind, dollars in price.items()
        }

    @pytest.mark.parametrize(
        ("provider", "model", "usage", "reported"),
        [
            ("openai", "gpt-4o", MILLION, Decimal(1)),
            ("openai", "gpt-4o", Usage(), None),
            ("openai", "nothing", MILLION, None),
            ("sandbox", "echo", MILLION, None),
        ],
    )
    def test_what_has_no_price_has_no_prices(self, provider, model, usage, reported):
        costs = Costs(CATALOGUE, ProxyConfig())
        assert costs.of(provider, model, usage, reported).price == ""

    @given(
        st.lists(
            st.builds(
                lambda digits, places: Decimal(digits).scaleb(-places),
                st.integers(0, 10**15 - 1),
                st.integers(9, 1_000_000),
            ),
            min_size=5,
            max_size=5,
        )
    )
    @example([Decimal(f"12345678901234{last}e-999999") for last in range(5)])
    def test_prices_fit_into_their_column(self, prices):
        names = ("input", "output", "cached_input", "cache_write", "reasoning")
        config = {"prices": {"a/b": dict(zip(names, prices, strict=True))}}
        costs = Costs(CATALOGUE, ProxyConfig.model_validate(config))
        price = costs.of("a", "b", MILLION).price
        assert len(price) <= 255
        assert numbers(price)["output"] == prices[1]


class TestMost:
    @given(
        st.lists(
            st.sampled_from(FLAT + [(provider, model) for provider, model, _ in TIERED])
        ),
        usages(most=1_000_000),
    )
    def test_no_target_costs_more(self, targets, usage):
        most = COSTS.most(targets, usage.input_tokens, usage.output_tokens)
        costs = [COSTS.of(*target, usage).nanos for target in targets]
        assert max(costs, default=0) <= most

    def test_the_dearest_target_counts(self):
        targets = [("openai", "gpt-4o-mini"), ("openai", "gpt-4o"), ("vllm", "llama")]
        assert COSTS.most(targets, 1000, 100) == 2_500_000 + 1_000_000

    @pytest.mark.parametrize(
        ("prices", "nanos"),
        [
            ({}, 7_000),
            ({"cached_input": 2}, 8_000),
            ({"cache_write": 3}, 9_000),
            ({"reasoning": 9}, 10_000),
        ],
    )
    def test_all_tokens_are_of_the_dearest_kind(self, prices, nanos):
        costs = configured(**{"a/b": {"input": 1, "output": 6, **prices}})
        assert costs.most([("a", "b")], 1, 1) == nanos

    @pytest.mark.parametrize(
        ("tokens", "dollars"), [(200_000, "0.25"), (200_001, "0.5")]
    )
    def test_long_prompts_have_their_own_price(self, tokens, dollars):
        nanos = COSTS.most([("gemini", "gemini-2.5-pro")], tokens, 0)
        assert nanos / 10**9 == pytest.approx(float(dollars), rel=1e-4)

    def test_parts_of_a_nano_dollar_are_rounded_up(self):
        costs = configured(**{"a/b": {"input": "0.0001", "output": 0}})
        assert costs.most([("a", "b")], 1, 0) == 1

    def test_nobody_and_nobody_knows_cost_nothing(self):
        assert COSTS.most([], 1000, 1000) == 0
        assert COSTS.most([("vllm", "llama"), ("sandbox", "echo")], 1000, 1000) == 0

    def test_is_a_number_of_the_database(self):
        assert COSTS.most([("openai", "gpt-4o")], 10**40, 10**40) == 2**63 - 1


def test_only_the_first_cost_of_a_model_is_looked_up(monkeypatch):
    looked_up = []
    find = CATALOGUE.tariff

    def counting(provider, name):
        looked_up.append(name)
        return find(provider, name)

    monkeypatch.setattr(CATALOGUE, "tariff", counting)
    costs = Costs(CATALOGUE, ProxyConfig())
    for _ in range(3):
        costs.of("openai", "gpt-4o", MILLION)
        costs.of("openai", "nothing", MILLION)
        costs.is_priced("openai", "gpt-4o")
    assert looked_up == ["gpt-4o", "nothing"]

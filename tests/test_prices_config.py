import re
from decimal import Decimal
from pathlib import Path

import pytest

from llm_proxy.config import ProxyConfig, load_config
from llm_proxy.settings import ConfigurationError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "proxy.yaml"

    def load(text: str) -> ProxyConfig:
        path.write_text(text)
        return load_config(path, {}.get)

    return load


def test_everything(load):
    config = load(
        """
        prices:
          openai/gpt-4o: {input: 2.5, output: 10, cached_input: 0.25, cache_write: 3.1,
            reasoning: "12.75"}
          vllm-eu/meta/llama-*: {input: 0.1, output: 0}
          ollama/*: 0
        unknown_price: refuse
        """
    )
    full, part, free = config.prices.values()
    assert full.model_dump() == {
        "input": Decimal("2.5"),
        "output": Decimal(10),
        "cached_input": Decimal("0.25"),
        "cache_write": Decimal("3.1"),
        "reasoning": Decimal("12.75"),
    }
    assert (part.input, part.output, part.cached_input) == (Decimal("0.1"), 0, None)
    assert (free.input, free.output) == (0, 0)
    assert list(config.prices)[1:] == ["vllm-eu/meta/llama-*", "ollama/*"]
    assert config.unknown_price == "refuse"


def test_null_is_left_out(load):
    config = load("prices: {a/b: {input: 1, output: 1, reasoning: }}")
    assert config.prices["a/b"].reasoning is None


def test_nothing_is_priced_by_default(load):
    config = load("prices:")
    assert config == ProxyConfig()
    assert (dict(config.prices), config.unknown_price) == ({}, "zero")


def test_example_of_the_page(load):
    page = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(prices:.*?)```", page, re.DOTALL)
    config = load(example)
    assert len(config.prices) == 3
    assert config.unknown_price == "refuse"


@pytest.mark.parametrize(
    "number",
    ["0.1", "0.3", "2.675", "1.1", "0.000000123456789", "123456.789012345", "1.0e-7"],
)
def test_numbers_are_what_is_written(load, number):
    config = load(f"prices: {{a/b: {{input: {number}, output: '{number}'}}}}")
    assert config.prices["a/b"].input == config.prices["a/b"].output == Decimal(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "prices: {a/b: {input: 1, output: 1, cached: 1}}",
            "prices.a/b.cached: unknown key; did you mean 'cached_input'?",
        ),
        ("prices: {a/b: {input: 1}}", "prices.a/b.output: required"),
        ("prices: {a/b: }", "prices.a/b.input: required\nprices.a/b.output: required"),
        ("prices: {a/b: 1}", "prices.a/b: must be a section of names and values"),
        ("prices: {a/b: false}", "prices.a/b: must be a section of names and values"),
        ("prices: {a/b: {input: -1, output: 1}}", "prices.a/b.input: must be from 0"),
        ("prices: {a/b: {input: .inf, output: 1}}", "prices.a/b.input: must be "),
        ("prices: {a/b: {input: .nan, output: 1}}", "prices.a/b.input: must be "),
        ("prices: {a/b: {input: 1e7, output: 1}}", "prices.a/b.input: must be from 0"),
        ("prices: {a/b: {input: x, output: 1}}", "prices.a/b.input: must be a number"),
        (
            "prices: {a/b: {input: true, output: 1}}",
            "prices.a/b.input: must be a number",
        ),
        (
            "prices: {a/b: {input: [1], output: 1}}",
            "prices.a/b.input: must be a number",
        ),
        ("prices: {a/b: {input: , output: 1}}", "prices.a/b.input: must be a number"),
        (
            "prices: {a/b: {input: 0.1234567890123456, output: 1}}",
            "prices.a/b.input: must have at most 15 digits",
        ),
        ("prices: {gpt-4o: 0}", "prices.gpt-4o: must be provider/model"),
        ("prices: {/b: 0}", "prices./b: must be provider/model"),
        ("prices: {a/: 0}", "prices.a/: must be provider/model"),
        ("prices: {a/*b: 0}", "prices.a/*b: must be provider/model"),
        ("prices: {'*/b': 0}", "prices.*/b: must be provider/model"),
        ("prices: {a/b: 0, A/B: 0}", "prices.A/B: stands twice, in another case"),
        ("prices: [1]", "prices: must be a section of names and values"),
        ("unknown_price: free", "unknown_price: "),
        ("unknown_prices: zero", "unknown_prices: unknown key; did you mean"),
    ],
)
def test_place_and_reason(load, text, expected):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    lines = str(caught.value).splitlines()
    for line, start in zip(lines, expected.splitlines(), strict=True):
        assert line.partition(".yaml: ")[2].startswith(start)

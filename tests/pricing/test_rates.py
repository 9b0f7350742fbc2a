from decimal import Decimal, localcontext

import pytest

from llm_proxy.pricing import FREE, Rates
from llm_proxy.types import Usage

RATES = Rates(*map(Decimal, ("2", "10", "0.5", "3", "20")))


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(1_000_000, 0), "2"),
        (Usage(0, 1_000_000), "10"),
        (Usage(1_000_000, 0, cached_tokens=400_000), "1.4"),
        (Usage(1_000_000, 0, cache_write_tokens=400_000), "2.4"),
        (Usage(1_000_000, 0, cached_tokens=400_000, cache_write_tokens=400_000), "1.8"),
        (Usage(0, 1_000_000, reasoning_tokens=400_000), "14"),
        (Usage(1, 1), "0.000012"),
        (Usage(), "0"),
    ],
)
def test_every_kind_of_token_has_its_price(usage, dollars):
    assert RATES.cost(usage) == Decimal(dollars)


@pytest.mark.parametrize(
    ("usage", "like"),
    [
        (Usage(10, 0, cached_tokens=11), Usage(10, 0, cached_tokens=10)),
        (Usage(10, 0, cache_write_tokens=11), Usage(10, 0, cache_write_tokens=10)),
        (
            Usage(10, 0, cached_tokens=7, cache_write_tokens=7),
            Usage(10, 0, cached_tokens=7, cache_write_tokens=3),
        ),
        (Usage(0, 10, reasoning_tokens=11), Usage(0, 10, reasoning_tokens=10)),
        (Usage(10, 10, -1, -1, -1), Usage(10, 10)),
        (Usage(-10, -10, 5, 5, 5), Usage()),
        (Usage(-10, 10), Usage(0, 10)),
    ],
)
def test_impossible_tokens_count_as_the_nearest_possible_ones(usage, like):
    assert RATES.cost(usage) == RATES.cost(like)


def test_a_call_without_tokens_is_free():
    rates = Rates(*[Decimal(1)] * 5, call=Decimal("0.01"))
    assert rates.cost(Usage()) == 0
    assert rates.cost(Usage(1, 0)) == Decimal("0.010001")


def test_money_is_exact_whatever_precision_others_have_set():
    rates = Rates(*[Decimal("0.123456789012345")] * 5)
    with localcontext(prec=3):
        cost = rates.cost(Usage(987_654_321_987, 1))
    assert cost * 10**21 == 123456789012345 * 987_654_321_988


def test_free_is_free():
    assert FREE.cost(Usage(10**12, 10**12, 1, 1, 1)) == 0

import pytest

from llm_proxy.routing import RetryBudget


@pytest.fixture
def drained():
    budget = RetryBudget(capacity=5)
    assert [budget.take("here") for _ in range(7)] == [True] * 5 + [False] * 2
    return budget


def test_an_outage_drains_it_for_that_upstream_only(drained):
    assert not drained.take("here")
    assert drained.take("there")
    assert drained.left("there") == 4


def test_a_successful_retry_gives_its_token_back(drained):
    drained.succeeded("here", was_retry=True)
    assert drained.take("here")
    assert not drained.take("here")


def test_ten_successes_earn_a_retry(drained):
    for _ in range(9):
        drained.succeeded("here", was_retry=False)
        assert not drained.take("here")
    for _ in range(2):
        drained.succeeded("here", was_retry=False)
    assert drained.take("here")
    assert not drained.take("here")


def test_it_is_never_fuller_than_full():
    budget = RetryBudget(capacity=2)
    assert budget.take("here")
    for _ in range(100):
        budget.succeeded("here", was_retry=True)
    assert [budget.take("here") for _ in range(3)] == [True, True, False]


def test_what_is_remembered_is_bounded():
    budget = RetryBudget()
    for number in range(3000):
        budget.take(str(number))
    assert len(budget._spent) <= 1024

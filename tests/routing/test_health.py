import pytest

from llm_proxy.errors import (
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMTimeoutError,
    LLMUnavailableError,
)
from llm_proxy.routing import Health, Target

HERE, THERE = Target("openai", "gpt-4"), Target("anthropic", "claude")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(failures=2, cooldown_seconds=30, clock=clock)


def is_open(health, target=HERE):
    try:
        health.admit(target)
    except LLMCoolingDownError:
        return True
    return False


def test_failures_in_a_row_open_the_breaker_of_that_deployment_only(health):
    health.failed(HERE, LLMUnavailableError())
    assert not is_open(health)
    health.failed(HERE, LLMTimeoutError())
    assert is_open(health)
    assert not is_open(health, THERE)


def test_the_refusal_says_how_long(health, clock):
    health.failed(HERE, LLMUnavailableError())
    health.failed(HERE, LLMUnavailableError())
    clock.now = 10
    with pytest.raises(LLMCoolingDownError) as caught:
        health.admit(HERE)
    assert caught.value.retry_after_seconds == 20


def test_a_success_in_between_starts_the_count_again(health):
    health.failed(HERE, LLMUnavailableError())
    health.succeeded(HERE)
    health.failed(HERE, LLMUnavailableError())
    assert not is_open(health)


def test_after_the_cool_down_one_probe_decides(health, clock):
    health.failed(HERE, LLMUnavailableError())
    health.failed(HERE, LLMUnavailableError())
    clock.now = 31
    assert not is_open(health)
    assert is_open(health)
    health.failed(HERE, LLMUnavailableError())
    clock.now = 60
    assert is_open(health)
    clock.now = 62
    assert not is_open(health)
    health.succeeded(HERE)
    assert not is_open(health)


def test_a_rejected_key_says_nothing_about_the_upstream(health):
    for _ in range(5):
        health.failed(HERE, LLMCredentialsError())
    assert not is_open(health)


def test_the_breaker_can_be_turned_off():
    health = Health(failures=0, cooldown_seconds=30)
    for _ in range(100):
        health.failed(HERE, LLMUnavailableError())
    assert not is_open(health)


def test_what_is_remembered_is_bounded(health):
    for number in range(3000):
        health.failed(Target("openai", str(number)), LLMUnavailableError())
    health.failed(HERE, LLMUnavailableError())
    health.failed(HERE, LLMUnavailableError())
    assert is_open(health)
    assert len(health._troubles) <= 1024

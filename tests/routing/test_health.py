import pytest

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    UnsupportedFeatureError,
)
from llm_proxy.routing import Health, Target

HERE, THERE = Target("openai", "gpt-4"), Target("anthropic", "claude")
SIBLING = Target("openai", "gpt-4o")
DOWN = LLMUnavailableError()


@pytest.fixture
def health(clock):
    return Health(failures=2, cooldown_seconds=30, clock=clock)


def is_open(health, target=HERE):
    return health.pause_of(target) is not None


def end(health, *outcomes, target=HERE):
    for outcome in outcomes:
        health.begin(target).end(outcome)


class TestFailuresInARow:
    @pytest.mark.parametrize(
        "kind",
        [
            LLMConnectionError,
            LLMStreamBrokenError,
            LLMTimeoutError,
            LLMUnavailableError,
        ],
    )
    def test_they_open_the_breaker_of_that_deployment_only(self, health, kind):
        end(health, kind())
        assert not is_open(health)
        end(health, kind())
        assert is_open(health)
        assert not is_open(health, SIBLING)
        assert not is_open(health, THERE)

    @pytest.mark.parametrize(
        "outcome",
        [
            LLMBadResponseError(),
            LLMRateLimitedError(),
            UnsupportedFeatureError(),
            KeyboardInterrupt(),
        ],
    )
    def test_what_says_nothing_about_the_deployment_does_not_count(
        self, health, outcome
    ):
        end(health, *[outcome] * 30)
        assert not is_open(health)

    def test_a_success_in_between_starts_the_count_again(self, health):
        end(health, DOWN, None, DOWN)
        assert not is_open(health)

    def test_only_the_first_end_of_an_attempt_counts(self, health):
        attempt = health.begin(HERE)
        for _ in range(3):
            attempt.end(DOWN)
        assert not is_open(health)
        assert health.condition(HERE).in_flight == 0

    def test_the_refusal_says_how_long(self, health, clock):
        end(health, DOWN, DOWN)
        clock.now = 10
        pause = health.pause_of(HERE)
        assert (pause.seconds, pause.by_advice) == (20, False)
        assert type(pause.error) is LLMCoolingDownError
        assert pause.error.retry_after_seconds == 20
        assert pause.error.provider == "openai"

    def test_the_breaker_can_be_turned_off(self, clock):
        health = Health(failures=0, cooldown_seconds=30, clock=clock)
        end(health, *[DOWN] * 100, LLMCredentialsError(upstream_status=401))
        assert not is_open(health)


class TestFailureRate:
    @pytest.fixture
    def health(self, clock):
        return Health(failures=5, cooldown_seconds=30, clock=clock)

    @pytest.mark.parametrize(
        ("outcomes", "opens"),
        [
            ([None, DOWN] * 4 + [DOWN], False),
            ([None, DOWN] * 5, True),
            ([None, None, DOWN] * 20, False),
            # Of the latest 20, ten are failures, whatever came before.
            ([None] * 40 + [DOWN, DOWN, None] * 4 + [DOWN, None], False),
            ([None] * 40 + [DOWN, DOWN, None] * 4 + [DOWN, DOWN], True),
        ],
    )
    def test_half_of_the_latest_twenty_open_it(self, health, outcomes, opens):
        end(health, *outcomes)
        assert is_open(health) is opens

    def test_what_was_before_the_outage_is_forgotten(self, health, clock):
        end(health, *[None, DOWN] * 5)
        clock.now = 31
        end(health, None, DOWN, DOWN)
        assert not is_open(health)


class TestHalfOpen:
    @pytest.fixture
    def health(self, health, clock):
        self.late = [health.begin(HERE) for _ in range(5)]
        end(health, DOWN, DOWN)
        clock.now = 31
        assert health.condition(HERE).state == "half_open"
        return health

    def test_one_probe_is_let_through_and_a_success_closes(self, health):
        probe = health.begin(HERE)
        assert is_open(health)
        probe.end()
        assert not is_open(health)
        assert health.condition(HERE).state == "closed"

    def test_its_failure_opens_for_as_long_again(self, health, clock):
        end(health, DOWN)
        clock.now = 60.9
        assert is_open(health)
        clock.now = 61
        assert not is_open(health)

    @pytest.mark.parametrize(
        "outcome", [KeyboardInterrupt(), UnsupportedFeatureError()]
    )
    def test_an_abandoned_probe_lets_the_next_try(self, health, outcome):
        end(health, outcome)
        assert not is_open(health)
        assert health.begin(HERE).is_probe
        assert is_open(health)

    def test_a_stream_need_not_end_to_close_it(self, health):
        probe = health.begin(HERE)
        probe.answering()
        assert health.condition(HERE).state == "closed"
        probe.end(LLMStreamBrokenError())
        assert is_open(health)

    @pytest.mark.parametrize("error", [LLMRateLimitedError(), LLMBadResponseError()])
    def test_a_probe_that_says_neither_lets_the_next_try(self, health, error):
        end(health, error)
        assert not is_open(health)
        assert health.begin(HERE).is_probe

    def test_a_probe_that_asks_for_a_rest_gets_it(self, health):
        end(health, LLMRateLimitedError(retry_after_seconds=7))
        assert health.pause_of(HERE).seconds == 7

    def test_a_lost_probe_blocks_no_longer_than_a_failed_one(self, health, clock):
        health.begin(HERE)
        clock.now = 62
        assert not is_open(health)

    def test_late_failures_do_not_extend_it(self, health, clock):
        for attempt in self.late:
            attempt.end(DOWN)
        assert not is_open(health)
        assert health.condition(HERE).state == "half_open"


class TestAdvice:
    @pytest.mark.parametrize("kind", [LLMRateLimitedError, LLMUnavailableError])
    def test_it_is_obeyed_as_long_as_it_says(self, health, clock, kind):
        end(health, kind(retry_after_seconds=7))
        pause = health.pause_of(HERE)
        assert (pause.seconds, pause.by_advice) == (7, True)
        assert health.condition(HERE).state == "cooling_down"
        assert not is_open(health, SIBLING)
        clock.now = 6.9
        assert is_open(health)
        clock.now = 7
        assert not is_open(health)
        # Not as after an outage: all may come again.
        health.begin(HERE)
        assert not is_open(health)

    def test_callers_hear_of_a_rate_limit_as_such(self, health, clock):
        end(health, LLMRateLimitedError(retry_after_seconds=7))
        clock.now = 3
        error = health.pause_of(HERE).error
        assert type(error) is LLMRateLimitedError
        assert error.retry_after_seconds == 4

    @pytest.mark.parametrize(
        ("advice", "now", "left"), [((9, 2), 1, 8), ((2, 9), 1, 8), ((2, 9), 8, 1)]
    )
    def test_the_longest_binds(self, health, clock, advice, now, left):
        both = [health.begin(HERE) for _ in advice]
        for attempt, seconds in zip(both, advice, strict=True):
            attempt.end(LLMRateLimitedError(retry_after_seconds=seconds))
        clock.now = now
        assert health.pause_of(HERE).seconds == left

    def test_the_success_of_another_call_does_not_end_it(self, health):
        other = health.begin(HERE)
        end(health, LLMRateLimitedError(retry_after_seconds=7))
        other.end()
        assert health.pause_of(HERE).seconds == 7

    def test_what_is_not_transient_advises_nothing(self, health):
        end(health, LLMBadResponseError(retry_after_seconds=7))
        assert not is_open(health)


class TestCredentials:
    @pytest.mark.parametrize("status", [401, 402, None])
    @pytest.mark.parametrize("kind", [LLMCredentialsError, LLMQuotaExhaustedError])
    def test_all_models_of_the_provider_are_spared(self, health, clock, kind, status):
        end(health, kind(upstream_status=status))
        clock.now = 10
        for target in (HERE, SIBLING):
            pause = health.pause_of(target)
            assert (pause.seconds, pause.by_advice) == (20, False)
            assert type(pause.error) is kind
        assert not is_open(health, THERE)
        clock.now = 30
        assert not is_open(health)

    def test_a_key_that_is_good_for_others_spares_one_model(self, health):
        end(health, LLMCredentialsError(upstream_status=403))
        assert type(health.pause_of(HERE).error) is LLMCredentialsError
        assert not is_open(health, SIBLING)

    def test_a_success_ends_it(self, health, clock):
        other = health.begin(SIBLING)
        end(health, LLMCredentialsError(upstream_status=401))
        other.end()
        assert not is_open(health)


class TestCondition:
    def test_of_one_that_nobody_has_asked(self, health):
        condition = health.condition(HERE)
        assert (condition.state, condition.code, condition.in_flight) == (
            "closed",
            "",
            0,
        )
        assert condition.latency_seconds is None

    def test_of_one_that_fails(self, health, clock):
        end(health, DOWN, DOWN)
        clock.now = 10
        condition = health.condition(HERE)
        assert (condition.state, condition.seconds) == ("open", 20)
        assert (condition.code, condition.failures) == ("LLM_COOLING_DOWN", 2)

    def test_latency_is_smoothed_and_forgotten(self, health, clock):
        for seconds in (1, 2):
            attempt = health.begin(HERE)
            assert health.condition(HERE).in_flight == 1
            clock.now += seconds
            attempt.answering()
            attempt.end()
        assert health.condition(HERE).latency_seconds == pytest.approx(1.3)
        clock.now += 61
        assert health.condition(HERE).latency_seconds is None


def test_what_is_remembered_is_bounded(health):
    for number in range(3000):
        end(health, DOWN, DOWN, target=Target("openai", str(number)))
    assert is_open(health, Target("openai", "2999"))
    assert not is_open(health, Target("openai", "0"))
    assert len(health._vitals) <= 1024


def test_who_is_down_is_remembered_longer_than_who_is_not(health):
    end(health, DOWN, DOWN)
    running = health.begin(SIBLING)
    for number in range(3000):
        end(health, None, target=Target("openai", str(number)))
    assert is_open(health)
    assert health.condition(SIBLING).in_flight == 1
    running.end()

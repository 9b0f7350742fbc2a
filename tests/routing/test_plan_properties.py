"""What holds of every plan, whatever upstreams do."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMRateLimitedError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    ProviderNotConfiguredError,
    UnsupportedFeatureError,
)

RESTS = st.one_of(st.none(), st.integers(0, 90).map(float))
TRANSIENT = st.one_of(
    st.builds(LLMUnavailableError, retry_after_seconds=RESTS),
    st.builds(LLMRateLimitedError, retry_after_seconds=RESTS),
    st.builds(LLMConnectionError),
)
FAILURES = st.one_of(
    TRANSIENT,
    st.sampled_from(
        [
            LLMBadResponseError,
            LLMContentFilteredError,
            LLMCredentialsError,
            LLMTimeoutError,
            PromptTooLongError,
            ProviderNotConfiguredError,
            UnsupportedFeatureError,
        ]
    ).map(lambda kind: kind()),
)
ROUTES = st.fixed_dictionaries(
    {
        "retries": st.integers(0, 3),
        "deadline_seconds": st.integers(1, 300).map(float),
        "reroutes_filtered": st.booleans(),
        "session": st.sampled_from([b"", b"session"]),
        "failures": st.integers(0, 3),
        "capacity": st.sampled_from([0, 1, 50]),
        "windows": st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3)),
    }
)
TIERS = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True).map(
        "".join
    ),
    min_size=1,
    max_size=4,
)
# A road is made for every example; only its maker is shared.
of_any_road = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def begin(road, clock):
    def begin(tiers, fields, resting=()):
        clock.now = 0.0
        made = road(*tiers, **fields)
        for name, seconds in dict(resting).items():
            made.pause(name, seconds)
        return made

    return begin


def most(made, tiers) -> int:
    return len({*"".join(tiers)}) * (made.route.retries + 1)


@of_any_road
@given(st.data(), TIERS, ROUTES, st.dictionaries(st.sampled_from("abcde"), RESTS))
def test_a_call_that_fails_is_bounded_and_says_why(begin, data, tiers, fields, resting):
    made = begin(tiers, fields, {k: v for k, v in resting.items() if v})
    plan = made.plan()
    waited, steps = 0.0, 0
    try:
        while (step := plan.next()) is not None:
            waited += step.wait_seconds
            steps += 1
            # A retry may find that its deployment has to be left alone after all.
            assert steps <= most(made, tiers)
            assert not made.take(plan, step, data.draw(FAILURES))
    except APIError:
        return
    finally:
        asked = Counter(made.names)
        assert all(count <= made.route.retries + 1 for count in asked.values())
        assert waited < made.route.deadline_seconds
    assert plan.problem is not None


@of_any_road
@given(st.data(), TIERS, ROUTES, st.dictionaries(st.sampled_from("abcde"), RESTS))
def test_nobody_is_forgotten_while_failures_may_pass(
    begin, data, tiers, fields, resting
):
    made = begin(tiers, fields, {k: v for k, v in resting.items() if v})
    plan = made.plan()
    while (step := plan.next()) is not None:
        assert not made.take(plan, step, data.draw(TRANSIENT))
    left_alone = {
        each.target.model
        for each in plan.trace.tried
        if each.outcome == "passed_over" and each.code != "RETRY_BUDGET"
    }
    assert {*"".join(tiers)} == {*made.names} | left_alone


@of_any_road
@given(st.data(), TIERS, ROUTES)
def test_two_questions_at_a_time_ask_nobody_more_often(begin, data, tiers, fields):
    made = begin(tiers, fields)
    plan = made.plan()
    open_steps = [step for step in (plan.next(), plan.alternative()) if step]
    assert len({step.target for step in open_steps}) == len(open_steps)
    count = len(open_steps)
    while open_steps:
        number = data.draw(st.integers(0, len(open_steps) - 1))
        made.take(plan, open_steps.pop(number), data.draw(TRANSIENT))
        if step := plan.next():
            open_steps.append(step)
            count += 1
        assert count <= most(made, tiers)
    asked = Counter(made.names)
    assert all(each <= made.route.retries + 1 for each in asked.values())

from dataclasses import replace

import pytest

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMContentFilteredError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    ProviderNotConfiguredError,
    RequestRejectedError,
    UnsupportedFeatureError,
)
from llm_proxy.routing.choice import choose_for

DOWN = LLMUnavailableError()
REST = LLMRateLimitedError(retry_after_seconds=30)
TOO_LONG = PromptTooLongError()
FILTERED = LLMContentFilteredError()
CANNOT = UnsupportedFeatureError()


def passed_over(plan) -> dict[str, str]:
    """Who was passed over, and why."""
    tried = (each for each in plan.trace.tried if each.outcome == "passed_over")
    return {each.target.model: each.code for each in tried}


class TestOrder:
    def test_all_of_a_tier_come_before_its_retries_and_those_before_fallbacks(
        self, road
    ):
        made = road("abc", "d", retries=3)
        plan = made.drive(a=DOWN, b=DOWN, c=DOWN, d=DOWN)
        tiers = [made.names[:3], made.names[3:6], made.names[6:]]
        assert [sorted(tier) for tier in tiers] == [[*"abc"], [*"abc"], [*"dddd"]]
        assert plan.problem is DOWN

    @pytest.mark.parametrize(
        ("tiers", "retries", "names"),
        [("a", 0, "a"), ("a", 2, "aaa"), ("ab", 0, "ab"), ("ab", 1, "aabb")],
    )
    def test_retries_are_counted_for_each_tier(self, road, tiers, retries, names):
        made = road(*tiers, retries=retries)
        made.drive(a=DOWN, b=DOWN)
        assert made.names == names

    @pytest.mark.parametrize(
        "error", [LLMTimeoutError(), LLMCredentialsError(), LLMBadResponseError()]
    )
    def test_who_is_silent_or_hopeless_is_not_asked_again(self, road, error):
        made = road("a", "b")
        made.drive(a=error)
        assert made.names == "ab"

    def test_who_cannot_be_reached_twice_is_not_there(self, road):
        made = road("a", "b", retries=5)
        made.drive(a=LLMConnectionError())
        assert made.names == "aab"

    def test_a_model_in_two_tiers_is_asked_in_one(self, road):
        made = road("a", "ab", retries=0)
        made.drive(a=DOWN)
        assert made.names == "ab"

    def test_a_callers_mistake_ends_the_call(self, road):
        made = road("a", "b")
        with pytest.raises(RequestRejectedError):
            made.drive(a=RequestRejectedError())
        assert made.names == "a"

    def test_a_session_stays_and_moves_as_its_hash_says(self, road):
        made = road("abcd", retries=0)
        names = set()
        for number in range(20):
            session = number.to_bytes(16)
            made.route, left = replace(made.route, session=session), made.route.tiers[0]
            made.asked.clear()
            made.drive(a=DOWN, b=DOWN, c=DOWN, d=DOWN)
            for name in made.names:
                chosen = choose_for(session, left)
                assert chosen.target.model == name
                left = tuple(each for each in left if each != chosen)
            names.add(made.names)
        assert len(names) > 5


class TestRests:
    """What becomes of an upstream that says when to come again."""

    @pytest.mark.parametrize(
        ("tiers", "fields", "asked"),
        [
            (("a", "b"), {}, [(0, "a"), (0, "b")]),
            (("a",), {}, [(0, "a"), (30, "a"), (60, "a")]),
            (("a",), {"deadline_seconds": 30.0}, [(0, "a")]),
            (("a",), {"deadline_seconds": 30.1}, [(0, "a"), (30, "a")]),
        ],
    )
    def test_a_long_one_is_awaited_if_there_is_time_and_nobody_else(
        self, road, tiers, fields, asked
    ):
        made = road(*tiers, **fields)
        made.drive(a=REST)
        assert made.asked == asked

    def test_it_is_awaited_if_the_fallback_rests_as_well(self, road):
        made = road("a", "b")
        made.pause("b", 50)
        made.drive(a=[REST, None])
        assert made.asked == [(0, "a"), (30, "a")]

    def test_a_short_one_is_awaited_before_a_fallback_is_asked(self, road):
        made = road("a", "b")
        made.drive(a=[LLMRateLimitedError(retry_after_seconds=5), None])
        assert made.asked == [(0, "a"), (5, "a")]

    def test_who_rests_too_long_does_not_keep_us_from_another(self, road):
        made = road("ab", deadline_seconds=20.0, retries=1)
        made.drive(a=REST, b=[DOWN, None])
        assert sorted(made.asked) == [(0, "a"), (0, "b"), (4, "b")]

    @pytest.mark.parametrize("tiers", [("a",), ("a", "b")])
    def test_nobody_is_hammered_after_a_429(self, road, clock, tiers):
        made = road(*tiers, deadline_seconds=3.0)
        error = LLMRateLimitedError(retry_after_seconds=2)
        for tenth in range(15):
            clock.now = max(clock.now, tenth / 10)
            made.drive(a=error)
        early = [when for when, name in made.asked if name == "a" and when <= 1.5]
        assert len(early) <= 2

    def test_callers_that_come_later_wait_as_well(self, road, clock):
        made = road("a")
        made.pause("a", 2)
        clock.now = 0.5
        made.drive()
        assert made.asked == [(2, "a")]

    @pytest.mark.parametrize("tiers", [("ab",), ("a", "b")])
    def test_if_all_rest_the_earliest_is_awaited(self, road, tiers):
        made = road(*tiers)
        made.pause("a", 9)
        made.pause("b", 3)
        plan = made.drive()
        assert made.asked == [(3, "b")]
        assert passed_over(plan) == dict.fromkeys("ab", "LLM_RATE_LIMITED")

    @pytest.mark.parametrize(("seconds", "deadline"), [(61, 100.0), (9, 9.0)])
    def test_but_not_for_ever(self, road, seconds, deadline):
        made = road("a", deadline_seconds=deadline)
        made.pause("a", seconds)
        plan = made.drive()
        assert made.asked == []
        assert type(plan.problem) is LLMRateLimitedError
        assert plan.problem.retry_after_seconds == seconds

    def test_then_it_is_a_call_like_others(self, road):
        made = road("a", "b", retries=1)
        made.pause("a", 3)
        made.pause("b", 4)
        made.drive(a=DOWN)
        assert made.asked == [(3, "a"), (7, "a"), (7, "b")]

    def test_if_all_are_down_callers_hear_of_it_at_once(self, road):
        made = road("a", "b", failures=1)
        made.drive(a=DOWN, b=DOWN)
        made.asked.clear()
        plan = made.drive()
        assert made.asked == []
        assert type(plan.problem) is LLMCoolingDownError
        assert passed_over(plan) == dict.fromkeys("ab", "LLM_COOLING_DOWN")

    def test_who_opens_the_breaker_is_not_asked_again(self, road):
        made = road("a", failures=2, retries=5)
        plan = made.drive(a=DOWN)
        assert made.names == "aa"
        assert plan.problem is DOWN

    def test_who_rests_says_more_than_who_cannot(self, road):
        made = road("a", "b")
        made.pause("b", 3)
        made.drive(a=CANNOT)
        assert made.asked == [(0, "a"), (3, "b")]


# Tokens; nobody knows how many "c" reads.
WINDOWS = {"a": 8, "b": 8, "d": 16, "e": 32}


class TestContextWindow:
    def test_only_a_larger_one_is_asked(self, road):
        made = road("a", "bcd", windows=WINDOWS)
        plan = made.drive(a=TOO_LONG)
        assert made.names == "ad"
        assert passed_over(plan) == dict.fromkeys("bc", "PROMPT_TOO_LONG")

    def test_the_largest_that_refused_counts(self, road):
        made = road("d", "a", "e", windows=WINDOWS)
        made.drive(d=TOO_LONG)
        assert made.names == "de"

    def test_without_one_it_is_the_callers_mistake(self, road):
        made = road("a", "bc", windows=WINDOWS)
        assert made.drive(a=TOO_LONG).problem is TOO_LONG
        assert made.names == "a"

    def test_nobody_knows_who_is_larger_than_an_unknown_one(self, road):
        made = road("c", "e", windows=WINDOWS)
        with pytest.raises(PromptTooLongError):
            made.drive(c=TOO_LONG)

    def test_a_small_one_is_not_asked_again(self, road):
        made = road("a", "b", "e", windows=WINDOWS)
        plan = made.plan()
        # Two questions at a time, as of a hedged call.
        first, second = plan.next(), plan.alternative()
        assert not made.take(plan, second, TOO_LONG)
        assert not made.take(plan, first, DOWN)
        assert plan.next().target.model == "e"


class TestContentFilter:
    def test_nobody_goes_around_it(self, road):
        made = road("ab", "c")
        with pytest.raises(LLMContentFilteredError):
            made.drive(a=FILTERED, b=FILTERED)
        assert len(made.names) == 1

    def test_unless_the_operator_says_so(self, road):
        made = road("a", "b", "c", reroutes_filtered=True)
        made.drive(a=FILTERED, b=FILTERED)
        assert made.names == "abc"


class TestPassedOver:
    @pytest.mark.parametrize("error", [CANNOT, ProviderNotConfiguredError()])
    def test_it_is_noted_why(self, road, error):
        made = road("a", "b")
        plan = made.drive(a=error)
        assert made.names == "ab"
        assert passed_over(plan) == {"a": error.code}

    @pytest.mark.parametrize("tiers", ["ab", "ba"])
    def test_the_failure_of_one_who_can_says_more(self, road, tiers):
        made = road(*tiers, retries=0)
        assert made.drive(a=CANNOT, b=DOWN).problem is DOWN

    def test_if_nobody_can_callers_hear_of_it(self, road):
        assert road("a", "b").drive(a=CANNOT, b=CANNOT).problem is CANNOT


class TestBudget:
    def test_without_it_nobody_is_asked_again(self, road):
        made = road("a", "b", capacity=0)
        plan = made.drive(a=DOWN, b=DOWN)
        assert made.names == "ab"
        assert passed_over(plan) == dict.fromkeys("ab", "RETRY_BUDGET")

    def test_it_is_one_upstreams(self, road):
        made = road("ab", capacity=1, retries=4)
        made.budget.take("provider-a")
        made.drive(a=DOWN, b=DOWN)
        assert sorted(made.names) == [*"abb"]

    def test_an_outage_is_not_made_worse(self, road):
        made = road("a", capacity=10)
        for _ in range(100):
            made.drive(a=DOWN)
        assert len(made.names) == 110


class TestAlternative:
    @pytest.mark.parametrize(
        ("tiers", "name"), [(("ab", "c"), "ab"), (("a", "bc"), "bc"), (("a",), "")]
    )
    def test_it_is_somebody_else(self, road, tiers, name):
        made = road(*tiers)
        plan = made.plan()
        first, second = plan.next(), plan.alternative()
        if not name:
            assert second is None
        else:
            assert second.target.model in name
            assert second.target != first.target
            assert second.is_retry

    def test_it_gives_nobody_more_retries(self, road):
        made = road("a", "b", "c", retries=1)
        plan = made.plan()
        first, second = plan.next(), plan.alternative()
        made.take(plan, first, DOWN)
        again = plan.next()
        made.take(plan, second, DOWN)
        third = plan.next()
        # It fails when the other question has gone on to the last tier.
        made.take(plan, again, DOWN)
        assert [each.target.model for each in (again, third)] == ["a", "c"]
        assert plan.next() is None

    def test_who_rests_is_none(self, road):
        made = road("a", "b")
        made.pause("b", 5)
        plan = made.plan()
        plan.next()
        assert plan.alternative() is None

    def test_it_takes_from_the_budget(self, road):
        made = road("a", "b", capacity=1)
        for expected in ("b", None):
            plan = made.plan()
            plan.next()
            step = plan.alternative()
            assert (step and step.target.model) == expected


class TestBrokenStreams:
    CUT = LLMStreamBrokenError()

    def names(self, road, *tiers, error=CUT, before=None, **fields):
        """Who is asked after the first stream was cut."""
        made = road(*tiers, **fields)
        plan = made.plan()
        if before is not None:
            before(made)
        step = plan.next()
        made.take(plan, step, None)
        plan.broke_off(step, error)
        assert plan.problem is error
        made.asked.clear()
        while (step := plan.next()) is not None:
            made.take(plan, step, DOWN)
        return made.names

    @pytest.mark.parametrize(
        ("tiers", "retries", "names"),
        [
            (("a", "b"), 0, "b"),
            (("a", "b"), 1, "bb"),
            (("a",), 2, "aa"),
            (("a",), 0, ""),
        ],
    )
    def test_others_are_asked_and_else_the_same_again(
        self, road, tiers, retries, names
    ):
        assert self.names(road, *tiers, retries=retries) == names

    @pytest.mark.parametrize("error", [LLMTimeoutError(), LLMBadResponseError()])
    def test_the_same_not_if_it_would_do_no_good(self, road, error):
        assert self.names(road, "a", error=error) == ""
        assert self.names(road, "a", "b", error=error, retries=0) == "b"

    def test_who_is_down_is_not_asked(self, road):
        def before(made):
            made.health.begin(made.route.tiers[1][0].target).end(DOWN)

        assert self.names(road, "a", "b", before=before, failures=1) == "a"

    def test_who_was_resting_may_have_recovered(self, road, clock):
        made = road("b", "a", retries=0)
        made.pause("b", 5)
        plan = made.plan()
        step = plan.next()
        assert step.target.model == "a"
        clock.now = 6
        plan.broke_off(step, self.CUT)
        assert plan.next().target.model == "b"

    def test_who_is_too_small_does_not_keep_us_from_the_same(self, road):
        made = road("a", "d", "b", windows={"a": 8, "b": 8, "d": 16})
        plan = made.plan()
        made.take(plan, plan.next(), TOO_LONG)
        step = plan.next()
        plan.broke_off(step, self.CUT)
        assert plan.next().target.model == "d"

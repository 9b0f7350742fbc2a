"""Which limits bound a call, and what it takes from them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from llm_proxy.config import LimitsConfig
from llm_proxy.config.limits import AllowanceConfig, BudgetsConfig
from llm_proxy.limits import Term, Terms
from llm_proxy.limits.claim import Claim
from llm_proxy.limits.terms import claims_of
from llm_proxy.types import Allowance, Budget, Principal, Subject

ALICE = Principal("key_1", organisation="acme", team="red", user="alice")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def limited(terms: tuple[Term, ...]) -> dict[str, int]:
    return {str(term.subject): term.limit for term in terms}


def test_all_that_bounds_a_call_is_found():
    terms = Terms(
        LimitsConfig.model_validate(
            {
                "users": {
                    "acme/alice": {"requests_per_minute": 1},
                    "acme/bob": {"requests_per_minute": 99},
                    "alice": {"requests_per_minute": 99},
                },
                "teams": {
                    "acme/red": {"requests_per_minute": 2},
                    "other/red": {"requests_per_minute": 99},
                },
                "organisations": {"acme": {"requests_per_minute": 3}},
                "models": {
                    "smart": {"requests_per_minute": 4},
                    "openai/gpt-4o": {"requests_per_minute": 5},
                    "cheap": {"requests_per_minute": 99},
                },
            }
        )
    )
    alice = Principal(
        "key_1",
        organisation="acme",
        team="red",
        user="alice",
        allowance=Allowance(requests_per_minute=6),
    )

    assert limited(terms.of(alice, ["smart", "openai/gpt-4o"])) == {
        "key:key_1": 6,
        "user:acme/alice": 1,
        "team:acme/red": 2,
        "organisation:acme": 3,
        "model:smart": 4,
        "model:openai/gpt-4o": 5,
    }


def test_an_allowance_is_one_limit_for_each_of_its_bounds():
    allowance = Allowance(
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrent_requests=3,
        budgets=(Budget("day", 10, 0.5), Budget("month", 20), Budget("total", 30)),
    )
    key = Subject("key", "root")

    assert Terms(LimitsConfig()).of(Principal("root", allowance=allowance), []) == (
        Term(key, "requests", 60),
        Term(key, "tokens", 1000),
        Term(key, "concurrent", 3),
        Term(key, "money", 10, "day", 0.5),
        Term(key, "money", 20, "month", 0.8),
        Term(key, "money", 30, "total", 0.8),
    )


def test_nothing_bounds_a_call_of_whom_nothing_is_said():
    terms = Terms(LimitsConfig.model_validate({"models": {"a": {}}}))
    assert terms.of(ALICE, ["a", "b"]) == ()


def test_limits_are_those_of_the_file():
    config = {"users": {"bob": {"budgets": {"month": "2.5", "warn_at": 0.9}}}}
    terms = Terms(LimitsConfig.model_validate(config))

    bob = Principal("key_2", user="bob")
    subject = Subject("user", "bob")
    assert terms.of(bob, []) == (Term(subject, "money", 2_500_000_000, "month", 0.9),)


@pytest.mark.parametrize("period", ["day", "month", "total"])
def test_budget_is_of_money_that_can_be_counted(period):
    def nanos(dollars: str) -> int:
        budgets = BudgetsConfig.model_validate({period: dollars})
        (budget,) = AllowanceConfig(budgets=budgets).allowance.budgets
        return budget.nanos

    assert [nanos("0"), nanos("1e-9")] == [0, 1]
    with pytest.raises(ValidationError, match=r"must be 0 or at least 0\.000000001"):
        nanos("9e-10")


@pytest.mark.parametrize(
    ("organisation", "team", "is_bound"),
    [
        ("acme", "red", True),
        ("acme", "blue", False),
        ("", "red", False),
        # Names that look like another's.
        ("", "acme/red", False),
        ("acme/red", "", False),
        ("b", "red/c", True),
        ("b/red", "c", False),
    ],
)
def test_a_team_is_that_of_its_organisation(organisation, team, is_bound):
    config = {"acme/red": {"tokens_per_minute": 1}, "b/red/c": {"tokens_per_minute": 1}}
    terms = Terms(LimitsConfig.model_validate({"teams": config}))
    principal = Principal("key_1", organisation=organisation, team=team)

    assert bool(terms.of(principal, [])) == is_bound


def test_a_model_is_found_in_any_case_and_bound_once():
    config = {"models": {"OpenAI/gpt-4o": {"tokens_per_minute": 1}}}
    terms = Terms(LimitsConfig.model_validate(config))

    found = terms.of(ALICE, ["openai/GPT-4o", "openai/gpt-4o"])
    assert [str(term.subject) for term in found] == ["model:OpenAI/gpt-4o"]


def test_a_changed_principal_has_changed_limits():
    terms = Terms(LimitsConfig())
    for number in (1, 2):
        principal = Principal("key_1", allowance=Allowance(requests_per_minute=number))
        assert limited(terms.of(principal, ["a"])) == {"key:key_1": number}


def test_claims_have_the_amounts_of_the_call():
    key = Subject("key", "root")
    terms = (
        Term(key, "requests", 60),
        Term(key, "tokens", 1000),
        Term(key, "concurrent", 3),
        Term(key, "money", 10, "day", 0.5),
        Term(key, "money", 20, "month"),
        Term(key, "money", 30, "total"),
    )

    assert claims_of(terms, tokens=70, nanos=8, now=NOON) == (
        Claim(key, "requests", 60, 1),
        Claim(key, "tokens", 1000, 70),
        Claim(key, "concurrent", 3, 1),
        Claim(key, "money", 10, 8, "2026-11-21", 0.5),
        Claim(key, "money", 20, 8, "2026-11"),
        Claim(key, "money", 30, 8, "total"),
    )


def test_days_and_months_are_those_of_utc():
    new_york = timezone(timedelta(hours=-5))
    late = datetime(2026, 11, 30, 20, tzinfo=new_york)
    key = Subject("key", "root")
    terms = Term(key, "money", 1, "day"), Term(key, "money", 1, "month")

    periods = [claim.period for claim in claims_of(terms, 0, 0, late)]
    assert periods == ["2026-12-01", "2026-12"]

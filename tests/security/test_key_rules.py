from dataclasses import replace
from ipaddress import ip_network
from math import inf, nan

import pytest
from hypothesis import given
from tests.security.keys import FULL, key, keys

from llm_proxy.errors import InvalidInputError
from llm_proxy.security.key_rules import check_key
from llm_proxy.types import Allowance, Budget


@given(keys)
def test_sensible_keys_are_accepted(each):
    check_key(replace(each, role="admin"))


def test_longest_fields_are_accepted():
    check_key(
        key(
            name="é" * 255,
            tags=("t" * 255,) * 100,
            models=("m" * 255,) * 100,
            networks=(ip_network("::1"),) * 100,
        )
    )


UNPRINTABLE = ["a\0", "a\nb", "a\rb", "\x1b[31m", "a\u202eb", "\ud800", "\u2028"]


@pytest.mark.parametrize("value", [*UNPRINTABLE, "a" * 256])
@pytest.mark.parametrize(
    "field", ["name", "organisation", "team", "owner", "project", "created_by"]
)
def test_texts_are_bounded_and_printable(field, value):
    with pytest.raises(InvalidInputError, match=f"^{field}: must have at most 255"):
        check_key(key(**{field: value}))


@pytest.mark.parametrize("field", ["organisation", "team", "owner"])
def test_names_of_counters_are_not_ambiguous(field):
    with pytest.raises(InvalidInputError, match=f"^{field}: must be without '/'"):
        check_key(key(**{field: "acme/red"}))


@pytest.mark.parametrize("field", ["tags", "models"])
@pytest.mark.parametrize("item", ["", "a" * 256, *UNPRINTABLE])
def test_items_are_bounded_and_printable(field, item):
    with pytest.raises(InvalidInputError, match=f"^{field}: each must have 1 to 255"):
        check_key(key(**{field: ("fine", item)}))


@pytest.mark.parametrize("field", ["tags", "models", "networks"])
def test_lists_are_bounded(field):
    item = ip_network("10.0.0.1") if field == "networks" else "a"

    with pytest.raises(InvalidInputError, match=f"^{field}: must have at most 100"):
        check_key(key(**{field: (item,) * 101}))


def allowed(**fields: object) -> dict[str, object]:
    return {"allowance": Allowance(**fields)}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "  "}, "name: must not be empty"),
        ({"role": "owner"}, "role: must be one of admin, developer, operator, viewer"),
        ({"role": None}, "role: must be one of"),
        (
            {"role": "viewer", "scopes": frozenset(("models:call",))},
            "scopes: must be of those of viewer: models:read, usage:read",
        ),
        (
            {"surfaces": frozenset(("grpc",))},
            "surfaces: must be of anthropic, chat, openai",
        ),
        ({"id": "key_1"}, "id: must be key_ and 16"),
        ({"expires_at": 1.0}, "expires_at: must be in the future"),
        ({"expires_at": nan}, "expires_at: must be in the future"),
        ({"expires_at": inf}, "expires_at: must be in the future"),
        (allowed(requests_per_minute=0), "requests_per_minute: must be from 1 to"),
        (allowed(tokens_per_minute=-1), "tokens_per_minute: must be from 1 to"),
        (
            allowed(concurrent_requests=2**53 + 1),
            "concurrent_requests: must be from 1 to",
        ),
        (allowed(budgets=(Budget("day", -1),)), "budgets: must be from 0 to"),
        (allowed(budgets=(Budget("day", 2**53 + 1),)), "budgets: must be from 0 to"),
        (allowed(budgets=(Budget("day", 1, 1.1),)), "budgets: .* from 0 to 1"),
        (allowed(budgets=(Budget("day", 1, nan),)), "budgets: .* from 0 to 1"),
        (allowed(budgets=(Budget("day", 1), Budget("day", 2))), "budgets: .* one for"),
        (
            allowed(budgets=(Budget("year", 1),)),
            "budgets: must be of day, month, total",
        ),
    ],
)
def test_nonsense_is_refused(fields, problem):
    with pytest.raises(InvalidInputError, match=problem):
        check_key(key(**fields))


def test_every_wrong_field_is_named():
    wrong = key(name="", team="a/b", **allowed(tokens_per_minute=0))
    with pytest.raises(InvalidInputError) as caught:
        check_key(wrong)

    details = {each["field"]: each["problem"] for each in caught.value.details}
    assert [*details] == ["name", "team", "allowance.tokens_per_minute"]
    assert caught.value.message == f"name: {details['name']}"
    assert all("must" in problem for problem in details.values())


def test_key_may_have_everything():
    check_key(FULL)

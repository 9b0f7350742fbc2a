from ipaddress import ip_network

import pytest
from tests.security.keys import key

from llm_proxy.errors import ForbiddenError
from llm_proxy.security.granting import may_grant, may_revoke, may_see, seen_by
from llm_proxy.types import ROLES, UNBOUNDED, Allowance, Budget, Principal

ROOT = Principal("root", "admin", ROLES["admin"])


def granter(**fields: object) -> Principal:
    given = {"name": "alice", "role": "admin", "scopes": ROLES["admin"], **fields}
    return Principal(**given)


def maker(**fields: object) -> Principal:
    """Somebody who may make keys, and is no admin."""
    scopes = frozenset(("keys:write", *ROLES["developer"]))
    return granter(scopes=scopes, **fields)


def networks(*texts: str) -> dict[str, object]:
    return {"networks": tuple(ip_network(text) for text in texts)}


def allowed(**fields: object) -> dict[str, object]:
    return {"allowance": Allowance(**fields)}


def budget(*budgets: Budget) -> dict[str, object]:
    return {"allowance": Allowance(budgets=budgets)}


def surfaces(*names: str) -> dict[str, object]:
    return {"surfaces": frozenset(names)}


def test_root_may_grant_everything():
    may_grant(ROOT, key(role="admin"))
    may_grant(ROOT, key(organisation="acme", team="red", role="viewer"))


@pytest.mark.parametrize("own", ROLES)
@pytest.mark.parametrize("wanted", ROLES)
def test_nobody_grants_a_greater_role(own, wanted):
    order = list(reversed(ROLES))
    caller = granter(role=own, scopes=ROLES[own])

    if order.index(wanted) <= order.index(own):
        may_grant(caller, key(role=wanted))
    else:
        with pytest.raises(ForbiddenError, match="your own scopes"):
            may_grant(caller, key(role=wanted))


def test_scopes_count_and_not_the_name_of_the_role():
    narrowed = granter(scopes=frozenset(("keys:write", "models:call")))

    may_grant(narrowed, key(role="admin", scopes=frozenset(("models:call",))))
    with pytest.raises(ForbiddenError, match="your own scopes"):
        may_grant(narrowed, key(role="developer"))


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"organisation": "acme"}, {"organisation": "acme", "team": "red"}),
        ({"team": "red"}, {"team": "red"}),
        ({"models": ("gpt-*",)}, {"models": ("gpt-*",)}),
        ({"models": ("gpt-*", "o3")}, {"models": ("gpt-4o", "o3")}),
        ({"models": ("gpt-*", "o3")}, {"models": ("GPT-4o", "O3", "Gpt-*")}),
        ({"models": ("GPT-*",)}, {"models": ("gpt-4o",)}),
        ({"models": ("gpt-*",)}, {"models": ()}),
        ({"models": ("[a]*",)}, {"models": ("[a]*",)}),
        (surfaces("openai", "chat"), surfaces("chat")),
        (networks("10.0.0.0/8"), networks("10.1.0.0/16", "10.0.0.0/8")),
        (networks("::/0", "0.0.0.0/0"), networks("192.0.2.7/32")),
        ({"expires_at": 5e9}, {"expires_at": 5e9}),
        (allowed(requests_per_minute=5), allowed(requests_per_minute=5)),
        (allowed(tokens_per_minute=5), allowed(tokens_per_minute=1)),
        (allowed(concurrent_requests=5), allowed(concurrent_requests=4)),
        (budget(Budget("day", 5)), budget(Budget("day", 5), Budget("month", 9))),
    ],
)
def test_as_much_as_one_has_may_be_granted(own, wanted):
    may_grant(granter(**own), key(**wanted))


@pytest.mark.parametrize(
    ("own", "wanted", "what"),
    [
        ({"organisation": "acme"}, {"organisation": "other"}, "organisation"),
        ({"organisation": "acme"}, {"organisation": ""}, "organisation"),
        ({"organisation": "acme"}, {"organisation": "ACME"}, "organisation"),
        ({"team": "red"}, {"team": "blue"}, "team"),
        ({"team": "red"}, {}, "team"),
        ({"models": ("gpt-*",)}, {}, "models"),
        ({"models": ("gpt-*",)}, {"models": ("*",)}, "models"),
        ({"models": ("gpt-*",)}, {"models": ("gpt-4o", "o3")}, "models"),
        # Narrower in truth, but that is more than patterns can be asked.
        ({"models": ("gpt-*",)}, {"models": ("gpt-4*",)}, "models"),
        ({"models": ("gpt-?",)}, {"models": ("gpt-*",)}, "models"),
        ({"models": ("gpt-4o",)}, {"models": ("gpt-[4]o",)}, "models"),
        ({"models": ()}, {"models": ("o3",)}, "models"),
        (surfaces("chat"), {}, "surfaces"),
        (surfaces("chat"), surfaces("chat", "openai"), "surfaces"),
        (networks("10.0.0.0/8"), {}, "networks"),
        (networks("10.0.0.0/8"), networks("10.0.0.0/7"), "networks"),
        (networks("10.0.0.0/8"), networks("10.0.0.0/9", "11.0.0.0/9"), "networks"),
        (networks("0.0.0.0/0"), networks("::/0"), "networks"),
        ({"expires_at": 5e9}, {}, "expiry"),
        ({"expires_at": 5e9}, {"expires_at": 5e9 + 0.001}, "expiry"),
        (allowed(requests_per_minute=5), {}, "requests per minute"),
        (allowed(tokens_per_minute=5), allowed(tokens_per_minute=6), "tokens"),
        (allowed(concurrent_requests=5), allowed(concurrent_requests=6), "concurrent"),
        (budget(Budget("day", 5)), budget(Budget("day", 6)), "budgets"),
        (budget(Budget("month", 500)), budget(Budget("day", 1)), "budgets"),
        (budget(Budget("month", 500)), {"allowance": UNBOUNDED}, "budgets"),
    ],
)
def test_more_than_one_has_is_refused(own, wanted, what):
    with pytest.raises(ForbiddenError, match=f"your own {what}") as caught:
        may_grant(granter(**own), key(**wanted))
    assert caught.value.details["reason"] == "grant"
    assert caught.value.details["beyond"].startswith(what)


# Names of teams and people mean nothing in another organisation.
@pytest.mark.parametrize(
    ("caller", "theirs", "what"),
    [
        (maker(user="anna"), {"owner": "bob"}, "owner"),
        (maker(user="anna"), {"owner": ""}, "owner"),
        (maker(user="anna"), {"owner": "Anna"}, "owner"),
        (maker(user="anna"), {"owner": "anna", "organisation": "acme"}, "organisation"),
        (maker(user="anna"), {"owner": "anna", "team": "red"}, "team"),
        (maker(user="anna", team="red"), {"owner": "anna", "team": "blue"}, "team"),
        (maker(user="anna", team="red"), {"owner": "anna"}, "team"),
        (granter(team="red"), {"team": "red", "organisation": "acme"}, "organisation"),
    ],
)
def test_limits_of_others_are_not_used_instead_of_ones_own(caller, theirs, what):
    for may_do in (may_grant, may_revoke):
        with pytest.raises(ForbiddenError, match=f"your own {what}"):
            may_do(caller, key(**theirs))


@pytest.mark.parametrize(
    ("caller", "theirs"),
    [
        (maker(user="anna"), {"owner": "anna"}),
        (maker(user="anna", team="red"), {"owner": "anna", "team": "red"}),
        (maker(), {"owner": "bob", "organisation": "acme"}),
        (granter(user="anna"), {"owner": "bob", "organisation": "acme"}),
        (granter(user="anna", organisation="acme"), {"organisation": "acme"}),
        (granter(user="anna", team="red"), {"owner": "bob", "team": "red"}),
    ],
)
def test_who_has_no_owner_or_is_an_admin_has_keys_for_all(caller, theirs):
    may_grant(caller, key(**theirs))
    may_revoke(caller, key(**theirs))


OPERATOR = {"role": "operator", "scopes": ROLES["operator"]}


@pytest.mark.parametrize(
    ("viewer", "bounds"),
    [
        (ROOT, {}),
        (granter(user="anna"), {}),
        (granter(user="anna", **OPERATOR), {}),
        (granter(organisation="acme"), {"organisation": "acme"}),
        (granter(team="red"), {"team": "red", "organisation": ""}),
        (
            granter(team="red", organisation="acme", user="anna", **OPERATOR),
            {"team": "red", "organisation": "acme"},
        ),
        (maker(user="anna"), {"owner": "anna", "team": "", "organisation": ""}),
        (
            maker(user="anna", team="red", organisation="acme"),
            {"owner": "anna", "team": "red", "organisation": "acme"},
        ),
    ],
)
def test_what_is_not_theirs_people_do_not_see(viewer, bounds):
    assert seen_by(viewer) == bounds
    assert may_see(viewer, key(**bounds))
    for field in bounds:
        assert not may_see(viewer, key(**bounds | {field: "other"}))


def test_to_revoke_it_does_not_matter_what_a_key_may_do():
    may_revoke(maker(models=("o3",)), key(role="admin"))


def test_what_the_key_is_not_allowed_stays_unsaid():
    with pytest.raises(ForbiddenError) as caught:
        may_grant(granter(organisation="acme"), key(organisation="rival"))

    assert "rival" not in caught.value.message

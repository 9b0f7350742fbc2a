import pytest
from tests.security.keys import FULL, key

from llm_proxy.security.virtual_key import is_key_id
from llm_proxy.types import ROLES, UNBOUNDED, Principal


def test_principal_has_what_the_key_has():
    assert FULL.principal == Principal(
        name=FULL.id,
        role="operator",
        scopes=frozenset(("models:call", "keys:read")),
        organisation="acme",
        team="red",
        user="anna@example.com",
        project="sheets",
        tags=("beta", "wichtig"),
        models=FULL.models,
        surfaces=FULL.surfaces,
        networks=FULL.networks,
        expires_at=FULL.expires_at,
        allowance=FULL.allowance,
    )


@pytest.mark.parametrize("role", ROLES)
def test_key_without_scopes_has_those_of_its_role(role):
    principal = key(role=role).principal

    assert principal.scopes == ROLES[role]
    assert (principal.models, principal.surfaces, principal.networks) == (
        None,
        None,
        (),
    )
    assert principal.allowance == UNBOUNDED


def test_scopes_never_exceed_the_role():
    few = key(role="viewer", scopes=frozenset(("usage:read", "keys:write")))

    assert few.principal.scopes == {"usage:read"}


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({}, True),
        ({"expires_at": 100.001}, True),
        ({"expires_at": 100.0}, False),
        ({"revoked_at": 500.0}, False),
        ({"expires_at": 500.0, "revoked_at": 1.0}, False),
    ],
)
def test_key_ends(fields, usable):
    assert key(**fields).is_usable(100.0) == usable


def test_keys_have_ids_of_their_own():
    ids = {key().id for _ in range(100)}

    assert len(ids) == 100
    assert all(is_key_id(each) for each in ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key_",
        "key_0123456789abcde",
        "key_0123456789abcdef0",
        "key_0123456789ABCDEF",
        "key_0123456789abcdef\n",
        "id_0123456789abcdef",
        "\0",
        "key_'; DROP TABLE --",
    ],
)
def test_other_texts_are_no_ids(text):
    assert not is_key_id(text)

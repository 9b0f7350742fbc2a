import pytest

from llm_proxy.security import SettingsTokenStore
from llm_proxy.types import ROLES, Principal

STORE = SettingsTokenStore({"excel": "token-1", "mail": "token-2"})


@pytest.mark.parametrize(("token", "name"), [("token-1", "excel"), ("token-2", "mail")])
def test_a_token_belongs_to_its_name(token, name):
    assert STORE.find(token) == Principal(name, "admin", ROLES["admin"])


@pytest.mark.parametrize("token", ["", "token", "token-1 ", "TOKEN-1", "é", "\udc80"])
def test_anything_else_belongs_to_nobody(token):
    assert STORE.find(token) is None


@pytest.mark.parametrize("token", ["token-1", "token-2"])
def test_who_has_a_token_is_known_without_it(token):
    principal = STORE.find(token)

    assert token not in principal.credential
    assert STORE.find_by_credential(principal.credential) is principal
    assert STORE.find_by_credential(token) is None


@pytest.mark.parametrize(
    ("token", "pepper", "is_known"),
    [("a", "pepper", True), ("b", "pepper", False), ("a", "another", False)],
)
def test_credentials_are_of_one_token_and_one_pepper(token, pepper, is_known):
    credential = SettingsTokenStore({"x": "a"}, pepper="pepper").find("a").credential
    other = SettingsTokenStore({"x": token}, pepper=pepper)

    assert (other.find_by_credential(credential) is not None) == is_known


def test_without_a_pepper_no_other_process_knows_a_credential():
    credential = STORE.find("token-1").credential
    other = SettingsTokenStore({"excel": "token-1"})

    assert other.find_by_credential(credential) is None


def test_no_token_is_kept_in_clear():
    assert "token-1" not in repr(vars(STORE))

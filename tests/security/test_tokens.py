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


def test_no_token_is_kept_in_clear():
    assert "token-1" not in repr(vars(STORE))

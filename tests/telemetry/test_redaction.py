import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.telemetry.redaction import mask_credentials, mask_named


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apiKey", "x-api-key", "OPENAI_API_KEY", "Authorization",
        "proxy-authorization", "token", "api_token", "accessToken", "password",
        "secret", "client_secret", "private_key", "cookie", "set-cookie", "credentials",
    ],
)  # fmt: skip
def test_secret_names_are_masked(name):
    assert mask_named({name: "s"}) == {name: "***"}


@pytest.mark.parametrize(
    "name",
    [
        "input_tokens",
        "tokens_used",
        "max_tokens",
        "key",
        "monkey",
        "first_token_seconds",
    ],
)
def test_names_of_counts_and_keys_are_left(name):
    assert mask_named({name: 5}) == {name: 5}


def test_masking_copies():
    fields = {"a": [{"token": "s"}], "b": ({"c": {"password": "s"}},), 1: "x"}

    assert mask_named(fields) == {
        "a": [{"token": "***"}],
        "b": [{"c": {"password": "***"}}],
        1: "x",
    }
    assert fields["a"] == [{"token": "s"}]


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        (b"Bearer abc.def-1 rest", b"Bearer *** rest"),
        (b"bearer  abc", b"bearer  ***"),
        (b"key sk-proj-Ab_12, rest", b"key sk-***, rest"),
        (b"GET /chat?api_token=s&x=1", b"GET /chat?api_token=***&x=1"),
        (b'{"a":"Bearer abc"}', b'{"a":"Bearer ***"}'),
        (b"task-list and risk-based", b"task-list and risk-based"),
        (b"a bearer", b"a bearer"),
    ],
)
def test_credentials_are_masked_by_their_look(line, masked):
    assert mask_credentials(line) == masked


@given(st.text(alphabet='bearer sk-api_token="\\&\n'))
def test_masking_keeps_json_valid(text):
    line = json.dumps({"message": text, "n": 1}).encode()

    assert json.loads(mask_credentials(line))["n"] == 1

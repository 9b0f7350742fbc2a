import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.setting_rules import (
    CHECKS,
    check_base_url,
    parse_networks,
    parse_origins,
    parse_tokens,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("abc", {"default": "abc"}),
        ("a,b,c", {"default": "a", "default-2": "b", "default-3": "c"}),
        ("sheets:a, mail:b", {"sheets": "a", "mail": "b"}),
        ("a,ops:b,c", {"default": "a", "ops": "b", "default-2": "c"}),
        ("ops:a:b", {"ops": "a:b"}),
        (" a , ,", {"default": "a"}),
    ],
)
def test_tokens(text, tokens):
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize(
    "text",
    ["", " , ", "a,a", "x:a,x:b", "a,default:b", ":a", "x:", "a b", "naïve", "na me:a"],
)
def test_unusable_tokens(text):
    with pytest.raises(ValueError, match=r"^(required|item \d)"):
        parse_tokens(text)


@given(st.text())
def test_any_text_gives_usable_tokens_or_a_value_error(text):
    try:
        tokens = parse_tokens(text)
    except ValueError:
        return
    assert tokens
    assert len(set(tokens.values())) == len(tokens)
    assert all(token.isascii() and token.strip() == token for token in tokens.values())


def test_origins():
    text = "https://a.example.com, http://localhost:3000 ,chrome-extension://abc,"
    assert parse_origins(text) == (
        "https://a.example.com",
        "http://localhost:3000",
        "chrome-extension://abc",
    )


@pytest.mark.parametrize(
    "origin",
    ["a.example.com", "https://a.example.com/", "https://a/b", "https://", "**"],
)
def test_not_an_origin(origin):
    with pytest.raises(ValueError, match="item 2"):
        parse_origins(f"*,{origin}")


def test_networks():
    networks = parse_networks("10.0.0.0/8,::1")
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize("item", ["proxy.internal", "10.0.0.1/8", "300.0.0.1", "*"])
def test_not_a_network(item):
    with pytest.raises(ValueError, match="item 2"):
        parse_networks(f"127.0.0.1,{item}")


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com",
        "ftp://api.openai.com",
        "https://",
        "https://user:pw@api.openai.com",
        "https://[::1",
        "https://host:99999",
    ],
)
def test_no_base_url_anywhere(url):
    with pytest.raises(ValueError, match=r"valid URL|must"):
        check_base_url(url, "development")


@given(st.text())
def test_any_text_is_a_base_url_or_a_value_error(text):
    for url in (text, f"https://{text}"):
        try:
            check_base_url(url, "production")
        except ValueError:
            continue
        assert url.lower().startswith(("https://", "http://"))


def test_a_model_file_must_exist(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        CHECKS["local_model_path"](tmp_path / "model.gguf", "development")

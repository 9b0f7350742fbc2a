import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.strict_yaml import MAX_BYTES, parse_yaml

SECRET = "sk-secret"

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: off\nb: no\nc: Yes\n", {"a": "off", "b": "no", "c": "Yes"}),
        ("[true, False, null, ~, 1, 1.5]", [True, False, None, None, 1, 1.5]),
        ("a: 2026-11-20", {"a": "2026-11-20"}),
        ("1: a\non: b\nnull: c\n", {"1": "a", "on": "b", "null": "c"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("\ufeffa: ü", {"a": "ü"}),
    ],
)
def test_values(text, value):
    assert parse_yaml(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: this key stands twice"),
        ("a: &x 1\nb: *x", "line 1: anchors"),
        (f"a: *{SECRET}", "line 1: anchors"),
        (f"\na: !{SECRET} 1", "line 2: anchors"),
        ("a: !!python/name:os.system", "line 1: anchors"),
        ("? [a]\n: 1", "line 1: a key must be text"),
        ("[" * 10_000, "line 1: nested deeper"),
        (f"a: b\n  c: {SECRET}", "line 2: mapping values"),
        (f"a: '{SECRET}", "line 1: .* end of stream"),
        ("a: 1\n---\nb: 1", "line 2: .* another document"),
        (f"a: @{SECRET}", "line 1: .* cannot start any token"),
        ("a: \x01", "not valid YAML"),
        ("9" * 10_000, "not valid YAML"),
    ],
)
def test_refusals(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        parse_yaml(text.encode())
    assert SECRET not in str(caught.value)


def test_not_utf8():
    with pytest.raises(ValueError, match="UTF-8"):
        parse_yaml(b"a: \xff")


def test_size():
    assert parse_yaml(b"#" * MAX_BYTES) is None
    with pytest.raises(ValueError, match="larger"):
        parse_yaml(b"#" * (MAX_BYTES + 1))


@given(values)
def test_reads_what_json_writes(value):
    assert parse_yaml(json.dumps(value).encode()) == value


@given(values)
def test_reads_what_yaml_writes(value):
    assert parse_yaml(yaml.safe_dump(value).encode()) == value


@given(st.binary() | st.text(alphabet="ab:-[]{}&*!|>'\"#%?, \n\t").map(str.encode))
def test_any_bytes_give_a_value_or_a_value_error(data):
    try:
        value = parse_yaml(data)
    except ValueError:
        return
    assert value is None or isinstance(value, dict | list | str | int | float)

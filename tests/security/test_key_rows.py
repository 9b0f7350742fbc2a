import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from tests.security.keys import FULL, key, keys

from llm_proxy.errors import InternalError
from llm_proxy.security.key_rows import describe, read_key, write_key


def reread(row):
    return read_key(SimpleNamespace(**row))


@given(keys)
def test_keys_survive_the_round_trip(each):
    assert reread(write_key(each)) == each


def changed(change) -> dict[str, object]:
    row = write_key(FULL)
    terms = json.loads(row["terms"])
    change(terms)
    return {**row, "terms": json.dumps(terms)}


@pytest.mark.parametrize(
    "change",
    [
        lambda terms: terms.update(max_output_tokens=5),
        lambda terms: terms.pop("models"),
        lambda terms: terms.update(models="gpt-4"),
        lambda terms: terms.update(models=[4]),
        lambda terms: terms.update(scopes=["all"]),
        lambda terms: terms.update(surfaces=["none"]),
        lambda terms: terms.update(networks=["10.0.0.1/8"]),
        lambda terms: terms["allowance"].update(requests_per_hour=5),
        lambda terms: terms["allowance"].update(tokens_per_minute="5"),
        lambda terms: terms["allowance"]["budgets"][0].update(period="year"),
        lambda terms: terms["allowance"]["budgets"][0].update(euros=1),
    ],
)
def test_terms_that_are_not_understood_are_not_guessed(change):
    with pytest.raises(InternalError) as caught:
        reread(changed(change))

    assert FULL.id in caught.value.log_detail


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"tags": []}'])
def test_broken_terms_are_told(text):
    with pytest.raises(InternalError):
        reread({**write_key(FULL), "terms": text})


def test_description_has_all_fields_as_json():
    described = describe(FULL)

    assert json.loads(json.dumps(described)) == described
    assert set(described) == set(FULL.__slots__)
    assert described["networks"] == ["10.0.0.0/8", "2001:db8::/32"]
    budgets = {"day": None, "month": "20", "total": None, "warn_at": 0.5}
    assert described["allowance"]["budgets"] == budgets
    assert described["scopes"] == ["keys:read", "models:call"]
    assert described["created_at"] == "2026-11-18T11:06:40.123000Z"
    assert described["revoked_at"] is None
    assert describe(key())["models"] is None

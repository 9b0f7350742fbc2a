import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_proxy.providers.sandbox.json_schema import is_json_schema
from llm_proxy.providers.sandbox.schema import example_of

TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "null"])
NAMES = st.sampled_from("ab")
LENGTHS = st.integers(0, 3) | st.integers(0, 10**22)
NUMBERS = st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)


def schemas_of(parts: st.SearchStrategy) -> st.SearchStrategy:
    some = st.lists(parts | st.booleans(), min_size=1, max_size=2)
    named = st.dictionaries(NAMES, parts, max_size=2)
    keywords = {
        "type": TYPES | st.lists(TYPES, max_size=2),
        "$ref": st.sampled_from(["#", "#/properties/a", "#/$defs/a", "#/nowhere"]),
        "enum": st.lists(NAMES, max_size=2),
        "required": st.lists(NAMES, max_size=2),
        "items": parts,
    }
    keywords |= dict.fromkeys(("properties", "$defs"), named)
    keywords |= dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), some)
    keywords |= dict.fromkeys(("minLength", "maxLength"), LENGTHS)
    keywords |= dict.fromkeys(("minItems", "maxItems"), LENGTHS)
    keywords |= dict.fromkeys(("minimum", "exclusiveMaximum"), NUMBERS)
    keywords["multipleOf"] = NUMBERS.filter(lambda number: number > 0)
    return st.fixed_dictionaries({}, optional=keywords)


SCHEMAS = st.recursive(st.just({}), schemas_of, max_leaves=5)


@settings(deadline=None)
@given(schema=SCHEMAS)
def test_every_schema_has_an_example(schema):
    assert is_json_schema(schema)
    json.dumps(example_of(schema, "Ada is 3"), allow_nan=False)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"type": "any"},
        {"type": None},
        {"properties": []},
        {"properties": {"a": {"minLength": -1}}},
        {"items": {"anyOf": [{"items": 5}]}},
        {"required": "a"},
        {"anyOf": []},
        {"multipleOf": 0},
        {"const": float("inf")},
        {"minimum": 10**400},
    ],
    ids=lambda value: str(value)[:40],
)
def test_knows_what_is_no_schema(value):
    assert not is_json_schema(value)


def test_extreme_bounds_have_an_example():
    schema = {"type": "number", "minimum": 1e300, "multipleOf": 1e-300}
    assert is_json_schema(schema)
    assert isinstance(example_of(schema, ""), float)

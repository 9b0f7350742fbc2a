from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from tests.wire import strategies as canonical

from llm_proxy.types import ChatRequest, ResponseFormat, Tool, said
from llm_proxy.wire.json_schema import (
    close_schema,
    is_strict_schema,
    loses_strictness,
)

TEXT = {"type": "string"}
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
STRICT = NOTHING | {"properties": {"a": TEXT}, "required": ["a"]}
LOOSE = STRICT | {"required": []}


def holding(part):
    return STRICT | {"properties": {"a": part}}


def containers(inner):
    lists = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(canonical.NAMES, inner, max_size=3)
    freedom = {"additionalProperties": st.booleans() | inner}
    described = {"description": canonical.TEXTS, "minProperties": st.just(1)}
    return st.one_of(
        st.fixed_dictionaries({"properties": named}, optional=freedom | described),
        st.fixed_dictionaries({"type": st.just(["object", "null"])}, optional=freedom),
        st.fixed_dictionaries({"$ref": st.just("#"), "$defs": named}),
        st.fixed_dictionaries({"items": inner | lists}, optional=described),
        st.fixed_dictionaries(
            {},
            optional={"anyOf": lists, "oneOf": lists, "allOf": lists, "not": inner},
        ),
        st.fixed_dictionaries({"prefixItems": lists, "definitions": named}),
    )


SCHEMAS = st.recursive(
    st.booleans() | st.sampled_from([TEXT, {"type": "object"}, {"minimum": 1}, {}]),
    containers,
    max_leaves=8,
)
WORDS = ["type", "properties", "items", "anyOf", "allOf", "$ref", "enum", "format"]
NO_SCHEMAS = st.dictionaries(
    st.sampled_from([*WORDS, "oneOf", "required", "description", "$defs", "minItems"]),
    canonical.JSON_VALUES,
)


def parts_of(schema):
    """All schemas in one, whatever the keyword they stand under."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts_of(each)
    elif isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            if keyword in ("properties", "$defs", "definitions"):
                yield from parts_of(list(value.values()))
            else:
                yield from parts_of(value)


def is_object(schema):
    return "object" in schema.get("type", ()) or "properties" in schema


@given(containers(SCHEMAS))
def test_all_objects_of_a_closed_schema_are_closed(schema):
    before = deepcopy(schema)
    closed = close_schema(schema)

    assert schema == before
    for part in parts_of(closed):
        assert part.get("additionalProperties", False) is False
        assert "additionalProperties" in part or not is_object(part)
        assert part.keys().isdisjoint({"minimum", "minProperties", "not", "oneOf"})


@given(containers(SCHEMAS) | NO_SCHEMAS)
def test_to_close_a_schema_again_changes_nothing(schema):
    closed = close_schema(schema)
    assert close_schema(closed) == closed


@given(NO_SCHEMAS)
def test_any_json_is_strict_or_not(schema):
    assert is_strict_schema({"type": "object", **schema}) in (True, False)


REF = {"$ref": "#/$defs/a"}
MIXED = {"enum": [{"a": 1}]}
CLOSED = [
    ({"type": "string", "maxLength": 9}, TEXT | {"description": '{"maxLength":9}'}),
    (
        {"type": "string", "pattern": "^a", "description": "An a."},
        TEXT | {"description": 'An a.\n\n{"pattern":"^a"}'},
    ),
    (
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "number", "description": '{"minimum":0,"maximum":1}'},
    ),
    ({"format": "date"}, {"format": "date"}),
    ({"format": "byte"}, {"description": '{"format":"byte"}'}),
    ({"minItems": 1}, {"minItems": 1}),
    ({"minItems": 2}, {"description": '{"minItems":2}'}),
    ({"uniqueItems": True}, {"description": '{"uniqueItems":true}'}),
    ({"items": [TEXT]}, {"description": '{"items":[{"type":"string"}]}'}),
    ({"enum": ["a", 1, None]}, {"enum": ["a", 1, None]}),
    (MIXED, {"description": '{"enum":[{"a":1}]}'}),
    ({"enum": []}, {"description": '{"enum":[]}'}),
    ({"const": {}}, {"description": '{"const":{}}'}),
    ({"$schema": "draft", "type": "object", "properties": {}}, NOTHING),
    (NOTHING | {"additionalProperties": True}, NOTHING),
    (
        NOTHING | {"additionalProperties": TEXT},
        NOTHING | {"description": '{"additionalProperties":{"type":"string"}}'},
    ),
    ({"oneOf": [TEXT]}, {"anyOf": [TEXT]}),
    ({"allOf": [REF], "title": "A"}, {"anyOf": [REF], "title": "A"}),
    ({"allOf": [TEXT, REF]}, {"allOf": [TEXT, REF]}),
    (REF | {"description": "b"}, {"anyOf": [REF], "description": "b"}),
    (REF | {"$defs": {"a": NOTHING}}, REF | {"$defs": {"a": NOTHING}}),
    # Names of properties are no keywords.
    (holding(TEXT) | {"properties": {"minimum": TEXT}},) * 2,
    (STRICT, STRICT),
]


@pytest.mark.parametrize(("schema", "closed"), CLOSED)
def test_what_claude_refuses_is_told_or_said_otherwise(schema, closed):
    assert close_schema(schema) == closed


def test_a_schema_may_be_as_deep_as_json_can_be():
    schema = {}
    for _ in range(250):
        schema = {"items": schema}
    assert close_schema(schema) == schema
    assert not is_strict_schema(holding(schema))


@pytest.mark.parametrize(
    "schema",
    [
        NOTHING,
        STRICT,
        holding({"type": ["string", "null"], "description": "d", "pattern": "a"}),
        holding({"type": "array", "items": STRICT, "minItems": 1}),
        holding({"anyOf": [STRICT, {"type": "null"}]}),
        holding(REF) | {"$defs": {"a": STRICT}},
        holding({"type": "string", "format": "date-time"}),
        holding({"type": "string", "enum": ["a"]}),
    ],
)
def test_a_schema_without_freedom_is_strict(schema):
    assert is_strict_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        TEXT,
        LOOSE,
        STRICT | {"additionalProperties": True},
        STRICT | {"required": ["a", "b"]},
        STRICT | {"required": "a"},
        STRICT | {"anyOf": [STRICT]},
        STRICT | {"allOf": [STRICT]},
        STRICT | {"$defs": {"a": LOOSE}},
        STRICT | {"patternProperties": {}},
        holding(LOOSE),
        holding(True),
        holding({}),
        holding({"type": ["object", "null"]}),
        holding({"oneOf": [TEXT]}),
        holding({"anyOf": [TEXT, LOOSE]}),
        holding({"type": "array"}),
        holding({"type": "array", "items": LOOSE}),
        holding({"type": "array", "prefixItems": [TEXT]}),
        holding(REF | {"description": "d"}),
        holding(TEXT | {"format": "uri"}),
        holding({"enum": ["a"]}),
        holding(TEXT | {"default": "a"}),
    ],
)
def test_a_schema_with_any_freedom_or_what_openai_lacks_is_not(schema):
    assert not is_strict_schema(schema)


class Leg(BaseModel):
    to: str = Field(max_length=9)
    days: int = Field(default=1, ge=1)


class Trip(BaseModel):
    legs: list[Leg]
    first: Leg | None = Field(default=None, description="The first one.")


def test_models_of_pydantic_can_be_closed():
    closed = close_schema(Trip.model_json_schema())
    leg = closed["$defs"]["Leg"]

    assert leg["additionalProperties"] is closed["additionalProperties"] is False
    assert leg["required"] == ["to"]
    assert leg["properties"]["days"] == {
        "title": "Days",
        "type": "integer",
        "description": '{"default":1,"minimum":1}',
    }
    assert not is_strict_schema(closed)


@pytest.mark.parametrize(
    ("options", "loses"),
    [
        ({}, False),
        ({"response_format": ResponseFormat()}, False),
        ({"response_format": ResponseFormat(STRICT)}, False),
        ({"response_format": ResponseFormat(LOOSE)}, True),
        ({"response_format": ResponseFormat(LOOSE, strict=None)}, False),
        ({"tools": (Tool("f", "", STRICT, True), Tool("g", "", LOOSE))}, False),
        ({"tools": (Tool("f", "", LOOSE, True),)}, True),
        ({"tools": (Tool("f", strict=True),)}, True),
        ({"tools": (Tool("f", strict=True, custom=True),)}, False),
    ],
)
def test_only_strictness_that_was_asked_for_can_be_lost(options, loses):
    assert loses_strictness(ChatRequest((said("user", "a"),), **options)) is loses

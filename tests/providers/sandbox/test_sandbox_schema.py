from datetime import date, datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from llm_proxy.providers.sandbox.schema import example_of

bounds = st.integers(-(10**6), 10**6)


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Node(BaseModel):
    name: str
    children: list["Node"] = Field(max_length=0)


class Tree(BaseModel):
    root: Node
    parent: "Tree | None"


class Everything(BaseModel):
    mood: Mood
    kind: Literal["a", "b"]
    fixed: Literal[3]
    text: Annotated[str, Field(min_length=3, max_length=20)]
    code: Annotated[str, Field(min_length=2, max_length=2)]
    long: Annotated[str, Field(min_length=500)]
    score: Annotated[float, Field(ge=-1, le=1)]
    share: Annotated[float, Field(gt=0, lt=1)]
    stars: Annotated[int, Field(ge=2, le=5)]
    even: Annotated[int, Field(gt=20, multiple_of=2)]
    flag: bool
    nothing: None
    maybe: int | None
    either: date | str
    words: Annotated[list[str], Field(min_length=2, max_length=4)]
    pair: tuple[int, str]
    days: list[date]
    times: list[datetime]
    ids: list[UUID]
    address: IPv4Address
    node: Node


@given(prompt=st.text(max_size=80))
def test_the_example_obeys_the_schema(prompt):
    example = example_of(Everything.model_json_schema(), prompt)
    Everything.model_validate(example)
    assert example == example_of(Everything.model_json_schema(), prompt)


@given(edges=st.tuples(bounds, bounds).map(sorted), prompt=st.from_regex(r"-?\d{1,6}"))
def test_numbers_keep_their_bounds(edges, prompt):
    least, most = edges
    for kind in (int, float):
        adapter = TypeAdapter(Annotated[kind, Field(ge=least, le=most)])
        adapter.validate_python(example_of(adapter.json_schema(), prompt))


@pytest.mark.parametrize(
    ("schema", "prompt", "example"),
    [
        ({"type": "string"}, "one  two\nthree", "one two three"),
        ({"enum": ["good", "bad"]}, "This is BAD news", "bad"),
        ({"enum": ["good", "bad"]}, "No opinion", "good"),
        ({"type": "integer"}, "I have 12 apples", 12),
        ({"type": "number", "maximum": 10}, "From 12.5 to 7.5", 7.5),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "a green apple",
            ["green", "apple"],
        ),
        ({"type": ["null", "boolean"]}, "", True),
        ({"properties": {"a": {"const": 1}, "b": {"const": 2}}}, "", {"a": 1, "b": 2}),
        (
            {
                "properties": {"a": {"const": 1}, "b": {"const": 2}},
                "required": ["b"],
            },
            "",
            {"b": 2},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            "",
            {"a": 1, "b": 2},
        ),
    ],
)
def test_words_and_numbers_come_from_the_prompt(schema, prompt, example):
    assert example_of(schema, prompt) == example


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"properties": {"again": {"$ref": "#"}}},
        {"type": "array", "minItems": 10**9},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1000},
        {"type": "string", "minLength": 10**9},
    ],
)
def test_hostile_schemas_cost_little(schema):
    assert len(str(example_of(schema, "text"))) < 200_000

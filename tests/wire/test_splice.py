import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire.splice import splice


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b'{ "x": 1,\n "model" : "a" , "y":0}', b'{ "x": 1,\n "model" : "b" , "y":0}'),
        (b'{"model":{"a":["]",{}]}, "x":1}', b'{"model":"b", "x":1}'),
        (b'{"model":1e5}', b'{"model":"b"}'),
        (b'{"model":null,"x":1}', b'{"model":"b","x":1}'),
        (b'{"model":"\\"}"}', b'{"model":"b"}'),
        (b'{"mo\\u0064el":"a"}', b'{"mo\\u0064el":"b"}'),
        (b'{"\\u006Dodel":"a","x":"\\u00e9"}', b'{"\\u006Dodel":"b","x":"\\u00e9"}'),
        (b"{}", b'{"model":"b"}'),
        (b"{ }", b'{"model":"b" }'),
        (b'{"x": 1 }', b'{"x": 1,"model":"b" }'),
        (b'{"x":{"model":"a"}}', b'{"x":{"model":"a"},"model":"b"}'),
        (
            b'{"x":[{"model":"a"}],"model":"a","z":{"model":1}}',
            b'{"x":[{"model":"a"}],"model":"b","z":{"model":1}}',
        ),
        (
            b'{"x":"\\\\\\"model\\": {","model":"a","y":"model"}',
            b'{"x":"\\\\\\"model\\": {","model":"b","y":"model"}',
        ),
        (b'{"\\"model":1,"model":"a"}', b'{"\\"model":1,"model":"b"}'),
        (b'{"model":"a","x":1,"model":"c"}', b'{"x":1,"model":"b"}'),
        (b'{"model":"a","mode\\u006c":"c"}', b'{"mode\\u006c":"b"}'),
    ],
)
def test_one_member_changes_and_no_other_byte(body, after):
    assert splice(body, {"model": b'"b"'}) == after


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b'{"model":"a"}', b"{}"),
        (b'{"model":"a", "x":1}', b'{ "x":1}'),
        (b'{"x":1 , "model":"a" }', b'{"x":1  }'),
        (b'{"model":1,"model":2}', b"{}"),
        (b'{"model":1,"x":1,"model":2}', b'{"x":1}'),
    ],
)
def test_a_member_is_removed_with_its_comma(body, after):
    assert splice(body, {"model": None}) == after


def test_what_is_parsed_already_is_not_parsed_again():
    body = b'{"model":"a"}'
    assert splice(body, {"model": b"1", "x": b"2"}, {"model": "a"}) == (
        b'{"model":1,"x":2}'
    )


NAMES = ("model", "stream", "max_tokens")
STRINGS = st.text(max_size=6) | st.sampled_from(
    ['"model":', "model", "\\", '\\"', '{"model":1', "é", "["]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | STRINGS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | STRINGS, inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def objects(draw):
    """JSON text whose top-level names may repeat and be spelled in any way."""
    members = draw(
        st.lists(st.tuples(st.sampled_from(NAMES) | STRINGS, VALUES), max_size=5)
    )
    ascii_only = draw(st.booleans())
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    written = []
    for name, value in members:
        key = json.dumps(name, ensure_ascii=ascii_only)
        if name in NAMES and draw(st.booleans()):
            key = key.replace("m", "\\u006D").replace("_", "\\u005f")
        text = json.dumps(value, ensure_ascii=ascii_only)
        written.append(f"{space}{key}{space}:{space}{text}{space}")
    return ("{" + ",".join(written) + "}").encode()


@given(objects(), st.dictionaries(st.sampled_from(NAMES), st.none() | VALUES))
def test_an_object_is_read_as_if_its_members_had_been_set(body, changes):
    members = {
        name: None if value is None else orjson.dumps(value)
        for name, value in changes.items()
    }
    wanted = orjson.loads(body) | changes
    for name, value in changes.items():
        if value is None:
            del wanted[name]

    spliced = splice(body, members)

    assert orjson.loads(spliced) == wanted
    pairs = json.loads(spliced, object_pairs_hook=list)
    untouched = json.loads(body, object_pairs_hook=list)
    assert [each for each in pairs if each[0] not in members] == [
        each for each in untouched if each[0] not in members
    ]
    names = [name for name, _ in pairs]
    assert all(names.count(name) <= 1 for name in members)


def test_any_number_of_repetitions_is_removed():
    # Quadratic work would take minutes here.
    body = b'{"x":1,' + b'"model":"a",' * 100_000 + b'"model":"a"}'
    assert splice(body, {"model": b'"b"'}) == b'{"x":1,"model":"b"}'
    assert splice(body, {"model": None}) == b'{"x":1}'

from dataclasses import fields, replace

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.cache.answered import question, v1_question

from llm_proxy.cache.key import cache_key
from llm_proxy.types import ChatRequest, Message, ResponseFormat, Text, Thinking, said

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["model", "messages", "n"]), JSON, max_size=3)


def v1_key(asked) -> str:
    return cache_key("anna", v1_question(**asked), "1")


def shuffled(value, random):
    """The same JSON with the members of all objects in another order."""
    if isinstance(value, list):
        return [shuffled(each, random) for each in value]
    if not isinstance(value, dict):
        return value
    members = [(name, shuffled(each, random)) for name, each in value.items()]
    random.shuffle(members)
    return dict(members)


@given(asked=FIELDS, random=st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(asked, random):
    assert v1_key(asked) == v1_key(shuffled(asked, random))


@given(one=FIELDS, other=FIELDS)
def test_whatever_else_is_different_matters(one, other):
    # Unlike Python's ==, JSON as text tells 1, 1.0 and true apart.
    assume(
        orjson.dumps(one, option=orjson.OPT_SORT_KEYS)
        != orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    )

    assert v1_key(one) != v1_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"n": 1}, {"n": 1.0}),
        ({"n": 1}, {"n": "1"}),
        ({"n": None}, {}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"messages": ["a", "b"]}, {"messages": ["b", "a"]}),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
    ],
)
def test_values_that_look_alike_are_different(one, other):
    assert v1_key(one) != v1_key(other)


TEXTS = st.text(st.sampled_from('ab",[]'), max_size=4)
PLACES = st.tuples(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=2), st.booleans())


def key_at(place) -> str:
    tenant, version, feature, targets, stream = place
    asked = question(feature=feature, targets=tuple(targets), stream=stream)
    return cache_key(tenant, asked, version)


@given(one=PLACES, other=PLACES)
def test_no_tenant_version_feature_or_target_runs_into_another(one, other):
    assert (key_at(one) == key_at(other)) == (one == other)


def test_headers_and_surfaces_matter():
    asked = question()
    others = (
        replace(asked, headers=(("anthropic-beta", "x"),)),
        replace(asked, headers=(("anthropic-beta", "x"), ("openai-beta", "y"))),
        replace(asked, surface="webhook"),
    )

    assert len({cache_key("anna", each, "1") for each in (asked, *others)}) == 4


CHANGES = {
    "messages": (said("user", "b"),),
    "temperature": 0.0,
    "max_tokens": 1,
    "top_p": 0.5,
    "stop": ("x",),
    "seed": 0,
    "user": "u",
    "response_format": ResponseFormat(),
    "logit_bias": {"1": 1.0},
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_member_of_a_request_matters(name):
    request = question("a").asked
    changed = replace(request, **{name: CHANGES[name]})

    assert cache_key("anna", question(asked=request), "1") != cache_key(
        "anna", question(asked=changed), "1"
    )


def test_no_member_of_a_request_is_left_out():
    request = question("a").asked
    written = orjson.loads(orjson.dumps(request))

    assert set(written) == {each.name for each in fields(ChatRequest)}


def test_parts_of_different_kinds_are_different():
    turns = [Message("assistant", (kind("a"),)) for kind in (Text, Thinking)]
    keys = {
        cache_key("anna", question(asked=ChatRequest((each,))), "1") for each in turns
    }

    assert len(keys) == 2


def test_a_key_is_a_digest_that_says_nothing():
    key = cache_key("anna", question("secret"), "1")

    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")

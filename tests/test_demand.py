import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.demand import demand_of_fields
from llm_proxy.tokens import TokenCounter

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 200}, 200),
        ({"max_tokens": 0}, None),
        ({"max_tokens": -5}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": "many"}, None),
        ({"max_tokens": "inf"}, None),
        # What a lenient upstream makes of it.
        ({"max_tokens": 200.0}, 200),
        ({"max_tokens": 199.1}, 200),
        ({"max_tokens": "200"}, 200),
        ({"max_tokens": 1e30}, int(1e30)),
        ({"max_tokens": 200, "max_output_tokens": 1}, 200),
        ({"max_tokens": 1, "max_completion_tokens": 200}, 200),
    ],
)
def test_an_answer_is_as_long_as_some_upstream_would_let_it_be(fields, tokens):
    assert demand_of_fields({"messages": HI, **fields}).output_tokens == tokens


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"messages": HI}, 1),
        ({"messages": HI, "n": 3}, 3),
        ({"messages": HI, "n": 0}, 1),
        ({"prompt": "a", "n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b"]}, 2),
        ({"prompt": ["a"] * 1000, "n": 2}, 2000),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": []}, 1),
    ],
)
def test_every_prompt_has_answers_of_its_own(fields, answers):
    assert demand_of_fields(fields).answers == answers


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"input": [15] * 2000}, 2000),
        ({"input": [[15] * 2000] * 10}, 20_000),
        ({"prompt": [[1], [2, 3]]}, 3),
        ({"input": ["a"]}, 0),
    ],
)
async def test_tokens_that_the_caller_has_made_are_counted(fields, tokens):
    demand = demand_of_fields(fields)
    assert demand.token_ids == tokens
    assert await demand.input_tokens("gpt-4", TokenCounter()) >= tokens


@given(
    st.dictionaries(
        st.sampled_from(["messages", "input", "prompt", "n", "best_of", "max_tokens"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
    )
)
def test_whatever_is_asked_has_a_demand(fields):
    demand = demand_of_fields(fields)
    assert demand.answers >= 1
    assert demand.output_tokens is None or demand.output_tokens > 0

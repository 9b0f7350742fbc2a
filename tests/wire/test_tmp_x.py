"""Whatever is asked, the Gemini API would accept how we say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import (
    ChatRequest,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    ToolCall,
)
from llm_proxy.wire.gemini import Gemini

from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.request import read_request
from llm_proxy.providers.sandbox.gemini.signatures import sign
from llm_proxy.providers.sandbox.dialect import Problem
from .strategies import (
    CACHES,
    NAMES,
    SCHEMAS,
    TEXTS,
    TOOL_CHOICES,
    conversations,
    documents,
    images,
    texts,
    tool_calls,
    tools,
)

GENERATION_2 = ["gemini-2.5-flash", "models/gemini-2.5-pro", "gemini-2.0-flash"]
GENERATION_3 = ["gemini-3.1-pro-preview", "models/gemini-3-flash", "gemini-pro-latest"]
EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh", "max", "odd"]
SIGNATURES = st.sampled_from(["", "gemini:" + sign("x"), "EroBCkY=", "rs_1.-"])
CALLS = st.one_of(
    tool_calls(CACHES),
    tool_calls(CACHES, custom=st.just(True), arguments=st.text(max_size=9)),
    st.builds(ToolCall, NAMES, NAMES, TEXTS, signature=st.just(sign("y"))),
)
LEADING = st.builds(
    Message,
    st.sampled_from(["system", "developer"]),
    st.lists(texts(CACHES), max_size=2).map(tuple),
)
FORMATS = st.none() | st.builds(ResponseFormat, st.none() | SCHEMAS, NAMES)


def conversation(results):
    return conversations(
        user=st.one_of(texts(CACHES), images(CACHES), documents(CACHES)),
        assistant=st.one_of(
            texts(), st.builds(Thinking, st.just("") | TEXTS, SIGNATURES, SIGNATURES)
        ),
        calls=CALLS,
        results=results,
        leading=[LEADING],
    )


def requests(results, formats=FORMATS, wanted_tools=tools(CACHES)):  # noqa: B008
    def sometimes(strategy):
        return st.none() | strategy

    return st.builds(
        ChatRequest,
        messages=conversation(results),
        tools=wanted_tools,
        tool_choice=TOOL_CHOICES,
        parallel_tool_calls=st.sampled_from([None, True, False]),
        response_format=formats,
        reasoning=sometimes(
            st.builds(
                Reasoning,
                st.sampled_from(EFFORTS),
                sometimes(st.integers(-1, 10**6)),
                st.sampled_from([None, True, False]),
            )
        ),
        max_tokens=sometimes(st.integers(1, 10**6)),
        temperature=sometimes(st.floats(0, 2)),
        top_p=sometimes(st.floats(0, 1)),
        top_k=sometimes(st.integers(1, 1000)),
        stop=st.lists(TEXTS, max_size=5).map(tuple),
        seed=sometimes(st.integers(-(2**63), 2**63)),
        frequency_penalty=sometimes(st.floats(-2, 2)),
        presence_penalty=sometimes(st.floats(-2, 2)),
        logit_bias=sometimes(st.just({"5": 1.0})),
        logprobs=sometimes(st.integers(0, 20)),
        user=st.just("") | TEXTS,
        service_tier=st.sampled_from(["", "auto", "default", "flex", "scale"]),
        verbosity=st.sampled_from(["", "low"]),
    )


INLINE_IMAGES = images(files=False).filter(lambda image: image.data)


@given(st.sampled_from(GENERATION_2), requests(texts(), formats=st.none()))
def test_models_of_generation_2_can_read_it(model, request):
    body = Gemini().encode_request(model, request, False).body
    question = read_request(body, ModelID(model.removeprefix("models/")), stream=False, lenient=False)
    assert not isinstance(question, Problem), question


@given(st.sampled_from(GENERATION_2), requests(texts(), wanted_tools=st.just(())))
def test_models_of_generation_2_can_read_schemas(model, request):
    body = Gemini().encode_request(model, request, False).body
    question = read_request(body, ModelID(model.removeprefix("models/")), stream=False, lenient=False)
    assert not isinstance(question, Problem), question


@given(st.sampled_from(GENERATION_3), requests(texts() | INLINE_IMAGES))
def test_models_of_generation_3_can_read_it(model, request):
    body = Gemini().encode_request(model, request, True).body
    question = read_request(body, ModelID(model.removeprefix("models/")), stream=False, lenient=False)
    assert not isinstance(question, Problem), question



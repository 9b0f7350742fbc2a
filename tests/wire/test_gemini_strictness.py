"""Whatever is asked, the Gemini API would accept how we say it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import ReceivedRequest
from llm_proxy.providers.sandbox.gemini import read_generation
from llm_proxy.providers.sandbox.gemini.signatures import sign
from llm_proxy.types import (
    ChatRequest,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
)
from llm_proxy.wire.gemini import Gemini

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
SIGNATURES = st.sampled_from(["", f"gemini:{sign('a')}", "EroBCkY=", "rs_1.-"])
CALLS = st.one_of(
    tool_calls(CACHES),
    tool_calls(CACHES, custom=st.just(True), arguments=st.text(max_size=9)),
    st.builds(ToolCall, NAMES, NAMES, TEXTS, signature=st.just(sign("a"))),
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

    built = st.builds(
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
    return built.map(choosing_what_is_offered)


def choosing_what_is_offered(request):
    if request.tool_choice is None or request.tool_choice.mode != "named":
        return request
    offered = ToolChoice("named", request.tools[0].name) if request.tools else None
    return replace(request, tool_choice=offered)


INLINE_IMAGES = images(files=False).filter(lambda image: image.data)


def check(model, request):
    """Hold a request against the sandbox, which is as strict as the API."""
    dialect = Gemini()
    body = dialect.encode_request(model, request, False).body
    path = f"/v1beta{dialect.path(model, False)}"
    read = read_generation(ReceivedRequest("POST", path, {}, body))
    assert not isinstance(read, Problem), read.message


@given(st.sampled_from(GENERATION_2), requests(texts(), formats=st.none()))
def test_models_of_generation_2_can_read_it(model, request):
    check(model, request)


@given(st.sampled_from(GENERATION_2), requests(texts(), wanted_tools=st.just(())))
def test_models_of_generation_2_can_read_schemas(model, request):
    check(model, request)


@given(st.sampled_from(GENERATION_3), requests(texts() | INLINE_IMAGES))
def test_models_of_generation_3_can_read_it(model, request):
    check(model, request)


def test_unused_parts_of_a_turn_leave_no_trace():
    messages = (
        Message("user", (Text("a"),)),
        Message("assistant", (Text(""), Thinking(encrypted="x"))),
        Message("user", (Text("b"),)),
    )
    body = Gemini().encode_request("gemini-3-flash", ChatRequest(messages), False).body
    assert body == b'{"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"}]}]}'

import json
import warnings
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.errors import (
    InternalError,
    InvalidInputError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    PromptTooLongError,
    UnknownModelError,
)
from llm_proxy.types import (
    ChatResponse,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_responses import (
    OpenAIResponses,
    OpenAIResponsesSurface,
    begin_response,
    fail_response,
)
from llm_proxy.wire.surface import Asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openai.types.responses import Response
    from pydantic import TypeAdapter

DIALECT = OpenAIResponses()
SURFACE = OpenAIResponsesSurface()
SDK_RESPONSE = TypeAdapter(Response)
ASKED = Asked("abc", 1700000000, "asked-model", {"input": "Hello"})
COUNTED = Usage(9, 7, 4, 3, 2, "provider")


def asked(**fields):
    return Asked("abc", 1700000000, "asked-model", {"input": "Hello", **fields})


def write(*parts, finish_reason="stop", asked=ASKED, **more):
    response = ChatResponse(parts, "gpt-x", finish_reason, COUNTED, **more)
    value = orjson.loads(SURFACE.encode_response(response, asked))
    SDK_RESPONSE.validate_python(value)
    return value


def answer(*output, **more):
    return {
        "object": "response",
        "status": "completed",
        "error": None,
        "model": "gpt-x",
        "output": list(output),
        "usage": {"input_tokens": 3, "output_tokens": 2},
        **more,
    }


def message(*content):
    return {"type": "message", "role": "assistant", "content": list(content)}


def text(value, **more):
    return {"type": "output_text", "text": value, "annotations": [], **more}


def read(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def test_an_answer_is_the_whole_object():
    assert write(Text("Hi")) == {
        "id": "resp_abc",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "gpt-x",
        "output": [
            {
                "id": "msg_abc0",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Hi",
                        "annotations": [],
                        "logprobs": [],
                    }
                ],
            }
        ],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": None,
        "store": True,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 16,
        },
        "user": None,
    }


def test_an_answer_repeats_how_it_was_asked_for():
    fields = {
        "background": True,
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_1",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": False,
        "temperature": 0.5,
        "tool_choice": "required",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": None}],
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    }
    value = write(
        asked=asked(
            **fields, reasoning={"effort": "low"}, text={"verbosity": "low"}, zoo=1
        )
    )
    assert {name: value[name] for name in fields} == fields
    assert value["reasoning"] == {"effort": "low", "summary": None}
    assert value["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert "zoo" not in value


def test_who_has_answered_is_who_was_asked_if_nobody_says():
    response = ChatResponse((), "", "stop", Usage())
    value = orjson.loads(SURFACE.encode_response(response, ASKED))
    assert (value["model"], value["usage"]) == ("asked-model", None)


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("refusal", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_why_an_answer_ended_is_its_status(finish_reason, status, details):
    call = ToolCall("c", "f", "{}")
    value = write(call, Text("Hi"), finish_reason=finish_reason)
    assert (value["status"], value["incomplete_details"]) == (status, details)
    assert [item["status"] for item in value["output"]] == ["completed", status]


def test_every_part_is_an_item():
    value = write(
        Thinking("t", signature="sig"),
        Thinking(encrypted="enc"),
        Text("a"),
        ToolCall("c1", "f", '{"x":1}'),
        ToolCall("c2", "g", ""),
        finish_reason="tool_calls",
    )
    thought, hidden, _, call, bare = value["output"]
    assert thought == {
        "id": "rs_abc0",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "t"}],
        "encrypted_content": "signature:sig",
    }
    assert hidden["encrypted_content"] == "encrypted:enc"
    assert call == {
        "id": "fc_abc3",
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"x":1}',
    }
    assert bare["arguments"] == "{}"


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("c", "patch", '{"input":"free\\ntext"}'),
        ToolCall("c", "patch", "free\ntext", custom=True),
    ],
)
def test_a_call_of_a_custom_tool_brings_free_text(call):
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "patch"}]
    [item] = write(call, finish_reason="tool_calls", asked=asked(tools=tools))["output"]
    assert item == {
        "id": "ctc_abc0",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "c",
        "name": "patch",
        "input": "free\ntext",
    }


@pytest.mark.parametrize(
    ("parts", "refusal"), [((Text("No."),), "No."), ((), ""), ((Thinking("t"),), "")]
)
def test_a_refusal_is_a_part_of_its_own(parts, refusal):
    item = write(*parts, finish_reason="refusal")["output"][-1]
    assert item["content"] == [{"type": "refusal", "refusal": refusal}]


LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}


def test_log_probabilities_stand_with_the_text():
    value = write(Thinking("t"), Text("Hi"), logprobs=(LOGPROB,))
    assert value["output"][1]["content"][0]["logprobs"] == [LOGPROB]


def bring_back(*parts):
    """What the next request says of an answer that is part of it."""
    items = write(*parts, finish_reason="tool_calls")["output"]
    fields = {"input": [{"role": "user", "content": "a"}, *items]}
    return SURFACE.decode_request(fields).messages[1].content


@pytest.mark.parametrize(
    "parts",
    [
        (Thinking("t", signature="sig"), Text("a")),
        (Thinking("t", encrypted="openai:rs_1:gAAA"), Text("a")),
        (Thinking(encrypted="gemini:signature:x"), Text("a")),
        (Thinking("t"), Text("a")),
        (
            ToolCall("functions.f:0", "f", "{}", signature="sig+/="),
            ToolCall("c2", "g", "{}"),
        ),
    ],
)
def test_proofs_of_thoughts_come_back_whoever_wrote_them(parts):
    assert bring_back(*parts) == parts


def test_an_answer_is_read():
    response = read(
        answer(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [
                    {"type": "summary_text", "text": "t"},
                    {"type": "summary_text", "text": "u"},
                ],
                "encrypted_content": "gAAA",
            },
            {"type": "web_search_call", "id": "ws_1"},
            message(text("a", logprobs=[LOGPROB]), text("b")),
            message(text("c")),
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": "f",
                "arguments": "{}",
            },
            {
                "type": "custom_tool_call",
                "call_id": "c2",
                "name": "patch",
                "input": "free",
            },
        )
    )
    assert response == ChatResponse(
        (
            Thinking("t\n\nu", encrypted="openai:rs_1:gAAA"),
            Text("abc"),
            ToolCall("c1", "f", "{}"),
            ToolCall("c2", "patch", "free", custom=True),
        ),
        "gpt-x",
        "tool_calls",
        Usage(3, 2, source="provider"),
        logprobs=(LOGPROB,),
    )


@pytest.mark.parametrize(
    ("value", "finish_reason"),
    [
        (answer(), "stop"),
        (answer(message(text("a"))), "stop"),
        (answer(message({"type": "refusal", "refusal": "No."})), "refusal"),
        (answer(message({"type": "refusal", "refusal": ""})), "refusal"),
        (answer({"type": "function_call", "name": "f"}), "tool_calls"),
        (answer(status="incomplete"), "length"),
        (
            answer(
                status="incomplete", incomplete_details={"reason": "content_filter"}
            ),
            "content_filter",
        ),
        (
            answer(status="incomplete", incomplete_details={"reason": "max_messages"}),
            "length",
        ),
    ],
)
def test_the_finish_reason_is_read(value, finish_reason):
    assert read(value).finish_reason == finish_reason


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            COUNTED,
        ),
        ({"input_tokens": 9}, Usage(9, source="provider")),
        ({"input_tokens": 0, "output_tokens": 0}, Usage(source="provider")),
        ({"input_tokens": -1, "output_tokens": 7}, Usage()),
        ({"input_tokens": 10**18, "output_tokens": 7}, Usage()),
        ({"input_tokens": "9", "output_tokens": 7}, Usage()),
        ({"input_tokens": 1, "input_tokens_details": {"cached_tokens": 2}}, Usage()),
        (
            {"output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 2}},
            Usage(),
        ),
        ({}, Usage()),
        (None, Usage()),
        ([], Usage()),
    ],
)
def test_usage_is_read_and_nonsense_is_no_usage(usage, expected):
    assert read(answer(usage=usage)).usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"output": {}}',
        b'{"output": []}',
        b'{"output": [], "status": "in_progress"}',
        b'{"output": [], "status": ["completed"]}',
        b'{"output": [1e999]}',
    ],
)
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.decode_response(body)


@given(canonical.JSON_VALUES)
def test_members_of_any_type_are_survived(value):
    kinds = ["message", "reasoning", "function_call", "custom_tool_call", value]
    members = ["id", "call_id", "name", "arguments", "input", "encrypted_content"]
    output = [
        {
            "type": kind,
            **dict.fromkeys(members, value),
            "content": part,
            "summary": part,
        }
        for kind in kinds
        for part in [value, [value], [{"type": "output_text", "text": value}]]
    ]
    output.append(
        {"type": "message", "content": [{"type": "refusal", "refusal": value}]}
    )
    for item in (*output, value):
        with suppress(WireError):
            read(answer(item))
    more = {"model": value, "usage": value, "incomplete_details": value}
    assert read(answer(message(text("a", logprobs=value)), **more)).text == "a"


CALL = {"type": "function_call", "call_id": "1", "name": "f"}


@pytest.mark.parametrize(
    "item",
    [
        42,
        {"type": "message", "content": 42},
        {"type": "message", "content": [42]},
        message({"type": "output_text", "text": 42}),
        message({"type": "refusal", "refusal": 42}),
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": 42}]},
        {**CALL, "arguments": 42},
    ],
)
def test_an_item_that_cannot_be_read_is_an_error(item):
    with pytest.raises(WireError):
        read(answer(message(text("a")), item))


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message"},
        {"type": "message", "content": None},
        message({"type": "output_text", "text": None}),
        {"type": "reasoning", "summary": [], "content": None},
        {"type": "new", "content": 42},
    ],
)
def test_an_item_may_be_empty_or_new(item):
    assert read(answer(message(text("a")), item)).text == "a"


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (
            {"error": {"type": "server_error", "message": "m"}},
            500,
            "server_error",
        ),
        (
            answer(status="failed", error={"code": "rate_limit_exceeded"}),
            429,
            "rate_limit_exceeded",
        ),
        (
            answer(status="failed", error={"code": "server_error"}),
            500,
            "server_error",
        ),
        (
            answer(status="failed", error={"code": "invalid_base64_image"}),
            400,
            "invalid_base64_image",
        ),
        (
            answer(status="failed", error={"code": "vector_store_timeout"}),
            None,
            "vector_store_timeout",
        ),
        (answer(status="failed"), None, ""),
    ],
)
def test_an_error_inside_a_success_is_a_fault(value, status, code):
    with pytest.raises(UpstreamFaultError) as caught:
        read(value)
    assert (caught.value.detail.status, caught.value.detail.code) == (status, code)


def test_error_bodies_are_read():
    body = b'{"error": {"message": "m", "type": "invalid_request_error"}}'
    assert DIALECT.decode_error(body).status == 400
    assert DIALECT.decode_error(b"<html>").status is None


THOUGHTS = st.builds(Thinking, st.just("") | canonical.TEXTS, canonical.TEXTS) | (
    st.builds(Thinking, st.just("") | canonical.TEXTS, encrypted=canonical.TEXTS)
)
CALLS = st.one_of(
    canonical.tool_calls(),
    canonical.tool_calls(custom=st.just(True), arguments=st.just("") | canonical.TEXTS),
)
RESPONSES = canonical.responses(
    thinking=THOUGHTS,
    calls=CALLS,
    usage=canonical.usages() | st.just(Usage()),
    finish_reasons=st.sampled_from(["stop", "length", "content_filter", "refusal"]),
)


@given(RESPONSES)
def test_what_was_written_can_be_read(response):
    body = SURFACE.encode_response(response, ASKED)
    SDK_RESPONSE.validate_json(body)
    assert DIALECT.decode_response(body) == response


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_response_has_a_status_before_it_has_an_answer(status):
    value = begin_response(ASKED, status)
    SDK_RESPONSE.validate_python(value)
    assert (value["status"], value["output"]) == (status, [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LLMStreamBrokenError(), "server_error"),
        (LLMRateLimitedError(), "rate_limit_exceeded"),
        (InvalidInputError("No."), "invalid_prompt"),
    ],
)
def test_a_response_that_failed_says_why(error, code):
    value = fail_response(ASKED, error, "r1")
    SDK_RESPONSE.validate_python(value)
    assert value["status"] == "failed"
    assert value["error"] == {"code": code, "message": error.message}


def test_errors_are_those_of_chat_completions():
    status, body = SURFACE.encode_error(UnknownModelError(), "r1")
    assert (status, body["error"]["code"]) == (404, "model_not_found")


def test_the_field_at_fault_has_its_name_in_this_api():
    _, body = SURFACE.encode_error(PromptTooLongError(), "r1")
    assert body["error"]["param"] == "input"


def test_an_error_event_is_an_error_to_everybody():
    data = SURFACE.error_event(InternalError("Oh."), "r1")
    name, payload = data.removesuffix(b"\n\n").split(b"\n")
    event = orjson.loads(payload.removeprefix(b"data: "))
    flat = {"code": "internal_error", "message": "Oh.", "param": None}
    assert name == b"event: error"
    assert event == {
        "type": "error",
        "sequence_number": 0,
        **flat,
        "error": {**flat, "type": "server_error"},
    }


def test_silence_is_a_comment():
    assert SURFACE.keepalive == b": keep-alive\n\n"

import json
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from tests.wire import strategies as canonical

from llm_proxy.types import ChatResponse, Text, Thinking, ToolCall, Usage
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_chat import OpenAIChat, OpenAIChatSurface
from llm_proxy.wire.surface import Asked

DIALECT = OpenAIChat()
SURFACE = OpenAIChatSurface()
ASKED = Asked("abc", 1700000000, "asked-model", {})


def answer(finish_reason="stop", **message):
    return {
        "model": "gpt-4-0613",
        "choices": [
            {"message": {"content": "Hi", **message}, "finish_reason": finish_reason}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def decode(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def encode(response, **fields):
    asked = Asked("abc", 1700000000, "asked-model", fields)
    return orjson.loads(SURFACE.encode_response(response, asked))


def said(*parts, finish_reason="stop", **more):
    return ChatResponse(parts, "m", finish_reason, Usage(), **more)


@pytest.mark.parametrize(
    ("message", "text", "finish_reason"),
    [
        ({"content": "Hi"}, "Hi", "stop"),
        ({"content": None}, "", "stop"),
        ({"content": None, "refusal": "No."}, "No.", "refusal"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "x"}]}, "a", "stop"),
    ],
)
def test_text_and_refusal_are_read(message, text, finish_reason):
    response = decode(answer(**message))
    assert (response.text, response.finish_reason) == (text, finish_reason)
    assert response.model == "gpt-4-0613"


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm", "reasoning_content": None},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "Hi"},
            ]
        },
    ],
)
def test_thoughts_are_read_in_the_words_of_all_who_tell_them(message):
    assert decode(answer(**message)).parts == (Thinking("hm"), Text("Hi"))


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            {
                "tool_calls": [
                    {
                        "id": "1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    }
                ]
            },
            ToolCall("1", "f", '{"a": 1}', signature="s"),
        ),
        (
            {
                "tool_calls": [
                    {"id": "1", "type": "custom", "custom": {"name": "c", "input": "x"}}
                ]
            },
            ToolCall("1", "c", "x", custom=True),
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
            ToolCall("call_0", "f", '{"a":1}'),
        ),
        (
            {"function_call": {"name": "f", "arguments": "{}"}},
            ToolCall("call_0", "f", "{}"),
        ),
    ],
)
def test_calls_are_read_and_end_the_answer(message, call):
    response = decode(answer("stop", content=None, **message))
    assert response.parts == (call,)
    assert response.finish_reason == "tool_calls"


def test_an_answer_cut_in_a_call_is_not_finished():
    calls = [{"id": "1", "function": {"name": "f", "arguments": '{"a'}}]
    assert decode(answer("length", tool_calls=calls)).finish_reason == "length"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("something-new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons_are_read(theirs, ours):
    assert decode(answer(theirs)).finish_reason == ours


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 7, 4, 2, 5, "provider"),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 7, 0, 0, 5, "provider"),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8},
            Usage(9, 1, 8, 0, 0, "provider"),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": None},
            Usage(9, 0, 0, 0, 0, "provider"),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 7}, Usage()),
        ({"prompt_tokens": 10**18, "completion_tokens": 7}, Usage()),
        ({"prompt_tokens": "9", "completion_tokens": 7}, Usage()),
        (
            {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}},
            Usage(),
        ),
        (
            {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
            Usage(),
        ),
        ({}, Usage()),
        (None, Usage()),
        ([], Usage()),
    ],
)
def test_usage_is_read_and_nonsense_is_no_usage(usage, expected):
    assert decode({**answer(), "usage": usage}).usage == expected


TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ({"content": [TOKEN], "refusal": None}, (TOKEN,)),
        ({"content": None, "refusal": [TOKEN]}, (TOKEN,)),
        (
            {"content": [{**TOKEN, "top_logprobs": [TOKEN, None, {}]}, 1]},
            ({**TOKEN, "top_logprobs": [TOKEN]},),
        ),
        ({"content": None}, None),
        ({"tokens": ["Hi"]}, None),
        (None, None),
    ],
)
def test_log_probabilities_are_read(logprobs, expected):
    value = answer()
    value["choices"][0]["logprobs"] = logprobs
    assert decode(value).logprobs == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "1"}]}}]}',
        b'{"choices": NaN}',
        b'{"choices": [{"message": {"content": 42}}]}',
        b'{"choices": [{"message": {"content": {"text": "a"}}}]}',
        b'{"choices": [{"message": {"content": [{"type": "text", "text": 42}]}}]}',
        b'{"choices": [{"message": {"content": ["a"]}}]}',
        b'{"choices": [{"message": {"content": "a", "refusal": 42}}]}',
        b'{"choices": [{"message": {"content": "a", "tool_calls": {"id": "1"}}}]}',
        b'{"choices": [{"message": {"function_call": {"name": "f", "arguments": 1}}}]}',
        b"\xff",
    ],
)
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.decode_response(body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"type": "server_error", "message": "m"}, 500, "server_error"),
        ({"code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"code": 502, "message": "m"}, 502, ""),
        ({"type": "t", "code": "insufficient_quota"}, 402, "t insufficient_quota"),
        ("words", None, ""),
    ],
)
def test_an_error_inside_a_success_is_a_fault(error, status, code):
    for body in ({"error": error}, {**answer(), "error": error}):
        with pytest.raises(UpstreamFaultError) as caught:
            decode(body)
        assert (caught.value.detail.status, caught.value.detail.code) == (status, code)


def test_an_error_object_of_vllm_is_a_fault():
    with pytest.raises(UpstreamFaultError, match="too long"):
        decode({"object": "error", "message": "too long", "code": 400})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": null}', b"\xff"])
def test_error_bodies_of_any_kind_can_be_read(body):
    detail = DIALECT.decode_error(body)
    assert (detail.status, detail.code, detail.message) == (None, "", "")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists))
def test_no_json_in_any_place_raises_anything_else(value):
    keys = ("content", "refusal", "tool_calls", "function_call", "reasoning")
    message = dict.fromkeys(keys, value)
    calls = [{"id": value, "function": value}, value]
    bodies = (
        dict.fromkeys(("choices", "usage", "error", "model"), value),
        {"choices": [{"message": value, "logprobs": value, "finish_reason": value}]},
        {"choices": [{"message": message, "logprobs": {"content": value}}]},
        {"choices": [{"message": {"tool_calls": calls}}]},
        {**answer(), "usage": {"prompt_tokens": value, "prompt_tokens_details": value}},
    )
    for body in bodies:
        with suppress(WireError):
            decode(body)


def test_an_answer_has_all_that_the_vendors_has():
    response = ChatResponse(
        (Thinking("hm"), Text("Hi"), ToolCall("1", "f", "{}", signature="s")),
        "gpt-4-0613",
        "tool_calls",
        Usage(9, 7, 4, 2, 5, "provider"),
        logprobs=(TOKEN,),
    )

    assert encode(response) == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-4-0613",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "s"}},
                        }
                    ],
                },
                "logprobs": {"content": [TOKEN], "refusal": None},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 7,
            "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


def message_and_reason(response, **fields):
    (choice,) = encode(response, **fields)["choices"]
    return choice["message"], choice["finish_reason"]


@pytest.mark.parametrize(
    ("response", "content", "refusal", "finish_reason"),
    [
        (said(), "", None, "stop"),
        (said(Text("Hi"), stop_sequence="\n"), "Hi", None, "stop"),
        (said(Text("Hi"), finish_reason="length"), "Hi", None, "length"),
        (said(Text("No."), finish_reason="refusal"), None, "No.", "stop"),
        (said(finish_reason="refusal"), None, "", "content_filter"),
        (said(ToolCall("1", "f", "{}")), None, None, "stop"),
    ],
)
def test_content_refusal_and_finish_reason_are_written(
    response, content, refusal, finish_reason
):
    message, reason = message_and_reason(response)
    assert (message["content"], message["refusal"], reason) == (
        content,
        refusal,
        finish_reason,
    )


def test_an_answer_that_does_not_say_its_model_has_the_one_that_was_asked_for():
    answered = encode(ChatResponse((), "", "stop", Usage()))
    assert answered["model"] == "asked-model"
    assert "usage" not in answered


def test_who_defined_functions_gets_a_function_call():
    call = said(ToolCall("1", "f", "{}"), finish_reason="tool_calls")
    message, reason = message_and_reason(call, functions=[{"name": "f"}])
    assert message["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in message
    assert reason == "function_call"


@pytest.mark.parametrize(
    "call",
    [ToolCall("1", "c", '{"input": "free"}'), ToolCall("1", "c", "free", custom=True)],
)
def test_who_defined_a_custom_tool_gets_free_text(call):
    tools = [{"type": "custom", "custom": {"name": "c"}}]
    message, _ = message_and_reason(said(call), tools=tools)
    assert message["tool_calls"] == [
        {"id": "1", "type": "custom", "custom": {"name": "c", "input": "free"}}
    ]


CALLS = st.one_of(
    canonical.tool_calls(),
    st.builds(
        ToolCall,
        canonical.NAMES,
        canonical.NAMES,
        canonical.TEXTS,
        st.just(True),
        st.just("") | canonical.TEXTS,
    ),
)


@st.composite
def responses(draw, finish_reasons):
    """Answers with at most one thought: more of them become one."""
    response = draw(
        canonical.responses(
            calls=CALLS,
            usage=canonical.usages() | st.just(Usage()),
            finish_reasons=st.sampled_from(finish_reasons),
        )
    )
    thoughts = draw(st.just(()) | st.tuples(st.builds(Thinking, canonical.TEXTS)))
    return ChatResponse(
        (*thoughts, *response.parts),
        response.model,
        response.finish_reason,
        response.usage,
        logprobs=draw(st.none() | st.just((TOKEN,))),
    )


@given(responses(["stop", "length", "content_filter"]))
def test_what_is_written_is_read_back(response):
    body = SURFACE.encode_response(response, ASKED)
    assert DIALECT.decode_response(body) == response
    ChatCompletion.model_validate_json(body, strict=True)


@given(canonical.TEXTS)
def test_a_refusal_is_read_back(text):
    response = said(Text(text), finish_reason="refusal")
    assert DIALECT.decode_response(SURFACE.encode_response(response, ASKED)) == response


def test_log_probabilities_of_a_refusal_stand_with_it():
    refusal = said(Text("No."), finish_reason="refusal", logprobs=(TOKEN,))
    (choice,) = encode(refusal)["choices"]
    assert choice["logprobs"] == {"content": None, "refusal": [TOKEN]}


def test_log_probabilities_without_alternatives_are_read():
    value = answer()
    value["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -1}]}
    assert decode(value).logprobs == (
        {"token": "a", "logprob": -1, "top_logprobs": []},
    )


def test_a_cut_call_of_the_older_api_is_no_whole_one():
    call = said(ToolCall("1", "f", '{"a'), finish_reason="length")
    _, reason = message_and_reason(call, functions=[{"name": "f"}])
    assert reason == "length"

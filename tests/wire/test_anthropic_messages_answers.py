import json
import warnings
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.types import (
    ChatResponse,
    Media,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llm_proxy.wire.anthropic_messages import AnthropicMessages, AnthropicSurface
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.surface import Asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from anthropic.types import Message as SDKMessage

DIALECT = AnthropicMessages()
SURFACE = AnthropicSurface()
ASKED = Asked("abc", 1700000000, "asked-model", {})


def decode(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def encode(*parts, **options):
    usage = options.pop("usage", Usage(5, 7, source="provider"))
    reason = options.pop("finish_reason", "stop")
    response = ChatResponse(parts, "claude-x", reason, usage, **options)
    return orjson.loads(SURFACE.encode_response(response, ASKED))


def test_the_blocks_are_the_parts():
    response = decode(
        {
            "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "r"},
                {"type": "text", "text": "a", "citations": [{"type": "new"}]},
                {"type": "text", "text": "b"},
                {"type": "server_tool_use", "id": "x", "name": "y", "input": {}},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"x": "ä"}},
                {"type": "tool_use", "id": "2", "name": "g", "input": {}},
            ],
            "stop_reason": "max_tokens",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 5,
                "output_tokens": 7,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2,
                "output_tokens_details": {"thinking_tokens": 4},
            },
        }
    )
    assert response == ChatResponse(
        parts=(
            Thinking("hm", "s"),
            Thinking(encrypted="r"),
            Text("ab"),
            ToolCall("1", "f", '{"x":"ä"}'),
            ToolCall("2", "g", "{}"),
        ),
        model="claude-x",
        finish_reason="length",
        usage=Usage(10, 7, 3, 2, 4, "provider"),
    )


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("tool_use", "tool_calls"),
        ("something-new", "stop"),
        (None, "stop"),
        (5, "stop"),
    ],
)
def test_stop_reasons_are_read(theirs, ours):
    content = [{"type": "text", "text": "a"}]
    assert decode({"content": content, "stop_reason": theirs}).finish_reason == ours


def test_the_text_that_stopped_the_answer_is_known():
    answer = {"content": [], "stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert decode(answer).stop_sequence == "END"


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5},
        {"output_tokens": 1e18},
        {"input_tokens": "5"},
        {"output_tokens": 1, "output_tokens_details": {"thinking_tokens": 2}},
        {"other": 5},
        [],
        None,
    ],
)
def test_nonsense_is_no_usage(usage):
    answer = {"content": [], "stop_reason": "end_turn", "usage": usage}
    assert decode(answer).usage == Usage()
    assert DIALECT.observe(json.dumps(answer).encode()).usage in (None, Usage())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"content": "a"}',
        b'{"content": []}',
        b'{"content": [], "stop_reason": null}',
    ],
)
def test_what_is_not_an_answer_is_an_error(body):
    for read in (DIALECT.decode_response, DIALECT.observe):
        with pytest.raises(WireError):
            read(body)


def test_an_error_inside_a_success_is_a_fault():
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    for read in (DIALECT.decode_response, DIALECT.observe):
        with pytest.raises(UpstreamFaultError) as caught:
            read(json.dumps(body).encode())
        assert caught.value.detail.status == 529


@given(canonical.JSON_VALUES)
def test_blocks_of_any_form_are_survived(value):
    block = {"type": "tool_use", "id": value, "name": value, "input": value}
    kinds = ("text", "thinking", "redacted_thinking", "tool_use", "new")
    blocks = [
        dict.fromkeys((*block, *kinds, "data"), value) | {"type": k} for k in kinds
    ]
    for content in ([value], *([block] for block in blocks)):
        with suppress(WireError):
            decode({"content": content, "model": value, "stop_sequence": value})


@pytest.mark.parametrize(
    "block",
    [
        42,
        {"type": "text", "text": 42},
        {"type": "text", "text": {"text": ["a"]}},
        {"type": "thinking", "thinking": 42},
        {"type": "redacted_thinking", "data": 42},
        {"type": "tool_use", "id": "1", "input": {}},
        {"type": "tool_use", "name": "f", "input": {}},
        {"type": "tool_use", "id": "1", "name": "f", "input": 42},
    ],
)
def test_a_block_that_cannot_be_read_is_an_error(block):
    with pytest.raises(WireError):
        decode({"content": [{"type": "text", "text": "a"}, block]})


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text"},
        {"type": "text", "text": None},
        {"type": "thinking", "thinking": None},
        {"type": "new", "text": 42},
    ],
)
def test_a_block_may_be_empty_or_new(block):
    assert decode({"content": [{"type": "text", "text": "a"}, block]}).text == "a"


def test_a_complete_answer_has_every_key_that_clients_look_for():
    assert encode(
        Thinking("hm", "s"),
        Thinking(encrypted="r"),
        Text("Hello"),
        ToolCall("toolu_1", "f", '{"x": 1}'),
        finish_reason="tool_calls",
        usage=Usage(10, 7, 3, 2, 4, "provider"),
    ) == {
        "id": "msg_abc",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "r"},
            {"type": "text", "text": "Hello", "citations": []},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "f",
                "input": {"x": 1},
                "caller": {"type": "direct"},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "cache_creation": None,
            "output_tokens_details": {"thinking_tokens": 4},
            "server_tool_use": None,
            "service_tier": None,
            "inference_geo": None,
            "speed": None,
        },
    }


def test_an_answer_that_does_not_name_its_model_has_the_one_that_was_asked():
    body = SURFACE.encode_response(ChatResponse((), "", "stop", Usage()), ASKED)
    assert orjson.loads(body)["model"] == "asked-model"


def test_an_empty_answer_is_an_empty_text():
    empty = [{"type": "text", "text": "", "citations": []}]
    assert encode()["content"] == encode(Text(""))["content"] == empty


@pytest.mark.parametrize(
    ("ours", "sequence", "theirs"),
    [
        ("stop", None, ("end_turn", None)),
        ("stop", "END", ("stop_sequence", "END")),
        ("length", None, ("max_tokens", None)),
        ("content_filter", None, ("refusal", None)),
        ("refusal", None, ("refusal", None)),
        ("tool_calls", None, ("tool_use", None)),
    ],
)
def test_finish_reasons_are_written(ours, sequence, theirs):
    message = encode(finish_reason=ours, stop_sequence=sequence)
    assert (message["stop_reason"], message["stop_sequence"]) == theirs


@pytest.mark.parametrize("arguments", ["[1]", '{"a": "b', "free text"])
def test_arguments_that_are_no_object_are_not_lost(arguments):
    [block] = encode(ToolCall("1", "f", arguments))["content"]
    assert block["input"] == {"input": arguments}


def test_what_models_do_not_say_is_left_out():
    assert encode(Media("image"), Thinking(), Text("a"))["content"] == [
        {"type": "text", "text": "a", "citations": []}
    ]


def test_thoughts_with_both_forms_are_two_blocks():
    kinds = [block["type"] for block in encode(Thinking("t", "", "e"))["content"]]
    assert kinds == ["thinking", "redacted_thinking"]


RESPONSES = canonical.responses(
    thinking=canonical.signed_thinking(), calls=canonical.tool_calls()
)
STOPPED = st.builds(
    lambda response, sequence: ChatResponse(
        response.parts, response.model, "stop", response.usage, sequence
    ),
    canonical.responses(),
    canonical.TEXTS,
)


@given(RESPONSES | STOPPED)
def test_what_is_written_is_read(response):
    body = SURFACE.encode_response(response, ASKED)
    assert DIALECT.decode_response(body) == response
    SDKMessage.model_validate_json(body)


def test_a_complete_answer_passes_through_as_it_is():
    body = (
        b'{ "content": [{"type": "text", "text": "a"}], "model": "claude-x",'
        b' "stop_reason": "refusal", "usage": {"input_tokens": 5}, "new": 1 }'
    )
    passage = DIALECT.observe(body)
    usage = Usage(5, source="provider")
    assert passage == Passage(body, True, "refusal", usage, "claude-x")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], False),
        ([{"type": "text", "text": ""}], False),
        ([{"type": "text", "text": "a"}], True),
        ([{"type": "text", "text": ""}, {"type": "server_tool_use"}], True),
    ],
)
def test_an_observer_sees_whether_there_is_an_answer(content, expected):
    body = json.dumps({"content": content, "stop_reason": "end_turn"}).encode()
    assert DIALECT.observe(body).has_content is expected


@pytest.mark.parametrize("block", ["a", {"type": "text", "text": 42}])
def test_an_observer_takes_no_block_that_cannot_be_read(block):
    content = [{"type": "text", "text": "a"}, block]
    with pytest.raises(WireError):
        DIALECT.observe(json.dumps({"content": content}).encode())


def test_a_relayed_request_names_another_model_and_nothing_else():
    body = b'{"new": 1e3, "model" : "alias", "messages": [{"model": "x"}]}'
    relayed = DIALECT.relay_request(body, orjson.loads(body), 'claude-"x"')
    assert relayed == body.replace(b'"alias"', rb'"claude-\"x\""')


def test_error_bodies_are_read():
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}'
    detail = DIALECT.decode_error(body)
    assert (detail.status, detail.code, detail.message) == (
        *(429, "rate_limit_error", "slow"),
    )

"""Answers of Converse, complete and streamed."""

import json
import struct
from contextlib import suppress
from itertools import pairwise
from zlib import crc32

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import (
    ChatResponse,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llm_proxy.wire import UpstreamFaultError, WireError
from llm_proxy.wire.bedrock import BedrockConverse
from llm_proxy.wire.gathering import gather

DIALECT = BedrockConverse()
USAGE = {"inputTokens": 125, "outputTokens": 60, "totalTokens": 185}


def answer(*content, reason="end_turn", usage=USAGE, **more):
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": usage,
        "metrics": {"latencyMs": 1175},
        **more,
    }


def decode(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def frame(headers, payload):
    head = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = lengths + struct.pack(">I", crc32(lengths)) + head + payload
    return whole + struct.pack(">I", crc32(whole))


def event(kind, payload):
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps({**payload, "p": "abcdefgh"}).encode())


def exception(kind, payload=b'{"message":"Too many tokens"}'):
    return frame({":exception-type": kind, ":message-type": "exception"}, payload)


def start(index, **block):
    return event("contentBlockStart", {"contentBlockIndex": index, "start": block})


def delta(index, **piece):
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": piece})


def stop(index):
    return event("contentBlockStop", {"contentBlockIndex": index})


def finish(reason="end_turn", **more):
    return event("messageStop", {"stopReason": reason, **more})


BEGIN = event("messageStart", {"role": "assistant"})
END = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})


def read(*frames, cuts=()):
    decoder = DIALECT.stream_decoder()
    data = b"".join(frames)
    edges = [0, *sorted(cuts), len(data)]
    chunks = []
    for a, b in pairwise(edges):
        chunks += decoder.feed(data[a:b])
    return chunks + decoder.close()


def test_the_answer_of_the_documentation_is_read():
    text = "Here is a list of pop songs:\n1. As It Was"

    assert decode(answer({"text": text})) == ChatResponse(
        parts=(Text(text),),
        model="",
        finish_reason="stop",
        usage=Usage(input_tokens=125, output_tokens=60, source="provider"),
    )


def test_all_kinds_of_blocks_are_read():
    response = decode(
        answer(
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "AAEC"}},
            {"text": "See "},
            {"citationsContent": {"content": [{"text": "here."}], "citations": []}},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": [1]}}},
            {"toolUse": {"toolUseId": "t2", "name": "rest", "input": {}}},
            {
                "toolUse": {
                    "toolUseId": "t3",
                    "name": "grounding",
                    "input": {},
                    "type": "server_tool_use",
                }
            },
            {"video": {"format": "mp4"}},
            reason="tool_use",
        )
    )

    assert response.parts == (
        Thinking("Hm.", "s"),
        Thinking(encrypted="AAEC"),
        Text("See here."),
        ToolCall("t1", "look", '{"a":[1]}'),
        ToolCall("t2", "rest", "{}"),
    )
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons_are_read(theirs, ours):
    assert decode(answer({"text": "a"}, reason=theirs)).finish_reason == ours
    assert gather(read(BEGIN, finish(theirs), END)).finish_reason == ours


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_is_none_is_a_fault_of_the_upstream(reason):
    with pytest.raises(UpstreamFaultError) as complete:
        decode(answer({"text": "a"}, reason=reason))
    with pytest.raises(UpstreamFaultError) as streamed:
        read(BEGIN, finish(reason))

    assert complete.value.detail == streamed.value.detail
    assert (complete.value.detail.status, complete.value.detail.code) == (502, reason)


def test_the_stop_text_is_read():
    fields = {"additionalModelResponseFields": {"stop_sequence": "END"}}
    complete = decode(answer({"text": "a"}, reason="stop_sequence", **fields))
    chunks = read(BEGIN, delta(0, text="a"), finish("stop_sequence", **fields), END)

    assert complete.stop_sequence == "END"
    assert gather(chunks) == complete


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {**USAGE, "cacheReadInputTokens": 7, "cacheWriteInputTokens": 5},
            Usage(137, 60, 7, 5, source="provider"),
        ),
        ({**USAGE, "cacheReadInputTokens": None}, Usage(125, 60, source="provider")),
        ({"inputTokens": 1}, Usage(1, source="provider")),
        (None, Usage()),
        ([], Usage()),
        ({}, Usage()),
        ({**USAGE, "inputTokens": -1}, Usage()),
        ({**USAGE, "outputTokens": "60"}, Usage()),
        ({**USAGE, "outputTokens": 10**11}, Usage()),
        ({**USAGE, "inputTokens": True}, Usage()),
        ({**USAGE, "cacheReadInputTokens": 1.5}, Usage()),
    ],
)
def test_usage_is_the_whole_input_or_nothing(usage, expected):
    assert decode(answer({"text": "a"}, usage=usage)).usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output": {}}',
        b'{"output": {"message": null}}',
        b'{"output": {"message": {"content": "a"}}}',
        b'{"output": {"message": {"content": ["a"]}}, "stopReason": "end_turn"}',
        b'{"output": {"message": {"content": []}}}',
        b'{"output": {"message": {"content": []}}, "stopReason": 1}',
        json.dumps(answer({"toolUse": {"toolUseId": "t", "input": {}}})).encode(),
        json.dumps(answer({"text": "a"}, {"text": 42})).encode(),
        json.dumps(answer({"text": "a"}, {"toolUse": 42})).encode(),
        json.dumps(answer({"reasoningContent": {"reasoningText": "a"}})).encode(),
        json.dumps(answer({"citationsContent": {"content": [{"text": 42}]}})).encode(),
    ],
)
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.decode_response(body)


FIELDS = [
    *("output", "message", "content", "text", "toolUse", "input", "name", "type"),
    *("delta", "start", "contentBlockIndex", "reasoningContent", "reasoningText"),
    *("toolUseId", "stopReason", "usage", "inputTokens", "citationsContent"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_an_answer_or_a_wire_error(value):
    for body in (value, answer(value), answer({"toolUse": value}), {"output": value}):
        with suppress(WireError):
            assert decode(body).finish_reason == "stop"


@given(
    st.sampled_from(["contentBlockStart", "contentBlockDelta", "messageStop", "x"]),
    JSON,
)
def test_any_event_is_chunks_or_a_wire_error(kind, value):
    headers = {":event-type": kind, ":message-type": "event"}
    data = frame(headers, json.dumps(value).encode())
    with suppress(WireError):
        assert isinstance(read(data + finish()), list)


def test_a_stream_says_what_the_complete_answer_says():
    chunks = read(
        BEGIN,
        delta(0, reasoningContent={"text": "Let me"}),
        delta(0, reasoningContent={"text": " see."}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": "AAEC"}),
        stop(1),
        delta(2, text="Hel"),
        delta(2, text="lo"),
        delta(2, citation={"title": "t"}),
        stop(2),
        start(3, toolUse={"toolUseId": "t1", "name": "look"}),
        delta(3, toolUse={"input": '{"a":'}),
        delta(3, toolUse={"input": "[1]}"}),
        stop(3),
        start(4, toolUse={"toolUseId": "t2", "name": "rest"}),
        delta(4, toolUse={"input": ""}),
        stop(4),
        finish("tool_use"),
        END,
    )

    assert gather(chunks) == decode(
        answer(
            {
                "reasoningContent": {
                    "reasoningText": {"text": "Let me see.", "signature": "c2ln"}
                }
            },
            {"reasoningContent": {"redactedContent": "AAEC"}},
            {"text": "Hello"},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": [1]}}},
            {"toolUse": {"toolUseId": "t2", "name": "rest", "input": {}}},
            reason="tool_use",
        )
    )


SHORT = st.text(min_size=1, max_size=6)
THOUGHTS = st.builds(Thinking, SHORT, SHORT) | st.builds(
    Thinking, encrypted=st.just("AAEC")
)
CALLS = st.builds(
    ToolCall,
    SHORT,
    SHORT,
    st.dictionaries(SHORT, st.integers(0, 9) | SHORT, max_size=2).map(
        lambda value: orjson.dumps(value).decode()
    ),
)
ANSWERS = st.builds(
    lambda thoughts, texts, calls: (*thoughts, *texts, *calls),
    st.lists(THOUGHTS, max_size=2),
    st.lists(st.builds(Text, SHORT), max_size=1),
    st.lists(CALLS, max_size=2),
)


def written(part):
    match part:
        case Text(text):
            return {"text": text}
        case Thinking(text, signature, encrypted):
            if encrypted:
                return {"reasoningContent": {"redactedContent": encrypted}}
            shown = {"text": text, "signature": signature}
            return {"reasoningContent": {"reasoningText": shown}}
        case ToolCall(call_id, name, arguments):
            block = {"toolUseId": call_id, "name": name}
            return {"toolUse": {**block, "input": json.loads(arguments)}}


def streamed(index, part):
    match part:
        case Text(text):
            return [delta(index, text=piece) for piece in text]
        case Thinking(text, signature, encrypted):
            if encrypted:
                return [delta(index, reasoningContent={"redactedContent": encrypted})]
            pieces = [delta(index, reasoningContent={"text": piece}) for piece in text]
            return [*pieces, delta(index, reasoningContent={"signature": signature})]
        case ToolCall(call_id, name, arguments):
            begin = start(index, toolUse={"toolUseId": call_id, "name": name})
            pieces = [delta(index, toolUse={"input": piece}) for piece in arguments]
            return [begin, *(pieces if arguments != "{}" else [])]


@given(ANSWERS, st.data())
def test_streamed_is_not_streamed_however_it_is_cut(parts, data):
    frames = [BEGIN]
    for index, part in enumerate(parts):
        frames += [*streamed(index, part), stop(index)]
    frames += [finish(), END]
    size = sum(map(len, frames))
    cuts = data.draw(st.lists(st.integers(0, size), max_size=9))
    complete = decode(answer(*map(written, parts)))

    assert complete.parts == parts
    assert gather(read(*frames, cuts=cuts)) == complete


def test_done_is_said_after_the_usage():
    decoder = DIALECT.stream_decoder()
    decoder.feed(BEGIN + delta(0, text="a") + stop(0) + finish())
    before = decoder.done
    chunks = decoder.feed(END + delta(0, text="later"))

    assert (before, decoder.done) == (False, True)
    assert [chunk.usage.output_tokens for chunk in chunks] == [60]


def test_a_stream_without_usage_is_whole():
    assert gather(read(BEGIN, delta(0, text="a"), finish())).usage == Usage()


@pytest.mark.parametrize("frames", [(), (BEGIN,), (BEGIN, delta(0, text="a"), END)])
def test_a_stream_without_a_stop_reason_is_not_whole(frames):
    with pytest.raises(WireError, match="without a stop reason"):
        read(*frames)


@pytest.mark.parametrize(
    "lost",
    [
        delta(0, text=42),
        delta(0, text={"text": ["a"]}),
        delta(0, reasoningContent="a"),
        delta(0, reasoningContent={"text": 42}),
        start(1, toolUse=42),
        start(1, toolUse={"toolUseId": "t", "name": "f"}) + delta(1, toolUse=42),
        start(1, toolUse={"toolUseId": "t", "name": "f"})
        + delta(1, toolUse={"input": 42}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": 42}),
    ],
)
def test_a_piece_that_cannot_be_read_is_an_error(lost):
    frames = (delta(0, text="one "), lost, delta(0, text="two"), stop(0), finish(), END)
    with pytest.raises(WireError):
        read(BEGIN, *frames)


@pytest.mark.parametrize(
    "empty",
    [
        delta(0),
        delta(0, text=None, toolUse=None, reasoningContent=None),
        start(0, toolUse=None),
    ],
)
def test_a_piece_may_be_empty(empty):
    frames = (delta(0, text="a"), empty, stop(0), finish(), END)
    assert gather(read(BEGIN, *frames)).text == "a"


def test_unknown_events_and_blocks_are_skipped():
    chunks = read(
        event("somethingNew", {}),
        frame({":event-type": "alsoNew", ":message-type": "event"}, b"\xff"),
        start(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "AA=="}}),
        stop(0),
        start(1, toolUse={"toolUseId": "t", "name": "n", "type": "server_tool_use"}),
        delta(1, toolUse={"input": "{}"}),
        stop(1),
        finish(),
    )

    assert gather(chunks).parts == ()


@pytest.mark.parametrize(
    "data",
    [
        frame({":event-type": "contentBlockDelta", ":message-type": "event"}, b"{"),
        delta(0, toolUse={"input": "{}"}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": "{}"}}}),
        start(0, toolUse={"toolUseId": "t"}),
        event("messageStop", {}),
    ],
)
def test_lost_content_is_an_error(data):
    with pytest.raises(WireError):
        read(data, finish())


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttlingException", 429, "ThrottlingException"),
        ("modelStreamErrorException", 502, "ModelStreamErrorException"),
        ("internalServerException", 500, "InternalServerException"),
        ("serviceUnavailableException", 503, "ServiceUnavailableException"),
        ("validationException", 400, "ValidationException"),
        ("somethingElse", None, "SomethingElse"),
        ("a prompt, perhaps", None, ""),
    ],
)
def test_exceptions_within_a_stream_are_faults(kind, status, code):
    with pytest.raises(UpstreamFaultError) as raised:
        read(BEGIN, delta(0, text="a"), exception(kind))

    detail = raised.value.detail
    assert (detail.status, detail.code, detail.message) == (
        status,
        code,
        "Too many tokens",
    )


def test_what_came_before_an_exception_is_handed_out_before_it():
    decoder = BedrockConverse().stream_decoder()
    chunks = decoder.feed(BEGIN + delta(0, text="a") + exception("throttlingException"))
    assert [chunk.text for chunk in chunks] == ["a"]
    assert decoder.done
    with pytest.raises(UpstreamFaultError):
        decoder.close()


def test_an_exception_without_json_is_a_fault():
    with pytest.raises(UpstreamFaultError) as raised:
        read(exception("throttlingException", b"oops"))

    assert raised.value.detail.status == 429


def test_an_error_of_the_transport_is_a_fault():
    headers = {
        ":message-type": "error",
        ":error-code": "InternalServerException",
        ":error-message": "broken",
    }
    with pytest.raises(UpstreamFaultError) as raised:
        read(frame(headers, b""))

    assert (raised.value.detail.status, raised.value.detail.message) == (500, "broken")


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b'{"message": "Input is too long."}', None, "", "Input is too long."),
        (
            b'{"__type": "com.amazon.coral#AccessDeniedException", "Message": "No."}',
            403,
            "AccessDeniedException",
            "No.",
        ),
        (
            b'{"__type": "ValidationException:http://x.y/", "message": 1}',
            400,
            "ValidationException",
            "",
        ),
        (b'{"__type": ["x"], "message": null}', None, "", ""),
        (b"<html>", None, "", ""),
        (b"[]", None, "", ""),
    ],
)
def test_error_bodies_are_read(body, status, code, message):
    detail = DIALECT.decode_error(body)

    assert (detail.status, detail.code, detail.message) == (status, code, message)


@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_decode_error_never_raises(body):
    assert isinstance(DIALECT.decode_error(body).message, str)

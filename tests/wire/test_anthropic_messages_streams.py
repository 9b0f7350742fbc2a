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
    Chunk,
    Text,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from llm_proxy.wire.anthropic_messages import AnthropicMessages, AnthropicSurface
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.scattering import scatter
from llm_proxy.wire.surface import Asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

DIALECT = AnthropicMessages()
SURFACE = AnthropicSurface()
ASKED = Asked("abc", 1700000000, "asked-model", {})
SDK_EVENT = TypeAdapter(RawMessageStreamEvent)
START = {
    "type": "message_start",
    "message": {"model": "claude-x", "usage": {"input_tokens": 5, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def start(block, index=0):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind, value, index=0):
    names = {"input_json_delta": "partial_json"}
    name = names.get(kind, kind.removesuffix("_delta"))
    piece = {"type": kind, name: value}
    return {"type": "content_block_delta", "index": index, "delta": piece}


def text(value, index=0):
    return delta("text_delta", value, index)


def stop(index=0):
    return {"type": "content_block_stop", "index": index}


def ending(reason="end_turn", **usage):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 9, **usage},
    }


def read(*events, end=b"\n"):
    decoder = DIALECT.stream_decoder()
    chunks = []
    for event in events:
        data = event
        if not isinstance(event, bytes):
            name, value = event.get("type").encode(), json.dumps(event).encode()
            data = b"event: %b\ndata: %b\n\n" % (name, value)
        chunks += decoder.feed(data.replace(b"\n", end))
    chunks += decoder.close()
    return chunks


def events_of(data):
    """The events of a stream; each one's name is its type."""
    events = []
    assert data.endswith(b"\n\n")
    for event in data[:-2].split(b"\n\n"):
        name, payload = event.split(b"\n")
        value = orjson.loads(payload.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        SDK_EVENT.validate_python(value)
        events.append(value)
    return events


def write(*chunks):
    encoder = SURFACE.stream_encoder(ASKED)
    data = b"".join([encoder.feed([chunk]) for chunk in chunks])
    return data + encoder.close()


def blocks(*chunks):
    """What a client of the vendor's SDK sees, after checks of the order of events."""
    _, *inner, delta_, stop_ = events_of(write(*chunks))
    assert (delta_["type"], stop_) == ("message_delta", STOP)
    found, is_open = [], False
    for event in inner:
        kind = event["type"]
        assert event["index"] == len(found) - is_open
        assert is_open == (kind != "content_block_start")
        if kind == "content_block_start":
            block = event["content_block"] | {"deltas": []}
            found.append(block)
            is_open = True
        elif kind == "content_block_delta":
            found[-1]["deltas"].append(event["delta"])
        else:
            is_open = False
    assert not is_open
    return found


def test_a_stream_is_read_event_by_event():
    chunks = read(
        START,
        start({"type": "thinking", "thinking": "", "signature": ""}),
        {"type": "ping"},
        delta("thinking_delta", "hm"),
        delta("signature_delta", "s"),
        stop(),
        start({"type": "redacted_thinking", "data": "r"}, 1),
        stop(1),
        start({"type": "text", "text": ""}, 2),
        text("Hel", 2),
        text("lo", 2),
        delta("citations_delta", {"type": "new"}, 2),
        stop(2),
        start({"type": "tool_use", "id": "1", "name": "f", "input": {}}, 3),
        delta("input_json_delta", "", 3),
        delta("input_json_delta", '{"x":', 3),
        delta("input_json_delta", "1}", 3),
        stop(3),
        {"type": "never_heard_of"},
        ending("tool_use"),
        STOP,
    )
    assert chunks == [
        Chunk(model="claude-x", usage=Usage(5, 1, source="provider")),
        Chunk(delta=ThinkingDelta("hm")),
        Chunk(delta=ThinkingDelta("", "s")),
        Chunk(delta=ThinkingDelta(encrypted="r")),
        Chunk("Hel"),
        Chunk("lo"),
        Chunk(delta=ToolCallDelta(0, "1", "f")),
        Chunk(delta=ToolCallDelta(0, arguments='{"x":')),
        Chunk(delta=ToolCallDelta(0, arguments="1}")),
        Chunk(finish_reason="tool_calls", usage=Usage(5, 9, source="provider")),
    ]


@pytest.mark.parametrize("pieces", [[], ['{"x":1}']])
@pytest.mark.parametrize("last", [[stop(7)], []])
def test_arguments_may_come_whole_at_the_start(pieces, last):
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}}
    deltas = [delta("input_json_delta", piece, 7) for piece in pieces]
    events = [START, start(call, 7), *deltas, *last, ending("tool_use"), STOP]
    assert gather(read(*events)).parts == (ToolCall("1", "f", '{"x":1}'),)


def test_a_call_without_arguments_has_an_empty_object():
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    chunks = read(START, start(call), stop(), ending("tool_use"), STOP)
    assert gather(chunks).parts == (ToolCall("1", "f", "{}"),)


def test_later_usage_replaces_earlier():
    chunks = read(START, text("a"), ending(input_tokens=8), STOP)
    assert chunks[-1].usage == Usage(8, 9, source="provider")


def test_an_ending_without_usage_leaves_what_is_known():
    end = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence"}}
    end["delta"]["stop_sequence"] = "END"
    response = gather(read(START, text("a"), end, STOP))
    assert response.usage == Usage(5, 1, source="provider")
    assert response.stop_sequence == "END"


@pytest.mark.parametrize(
    "mark", [b": comment\n\n", b"data: ping\n\n", b"data: {?}\n\n"]
)
def test_what_is_no_event_is_skipped(mark):
    assert gather(read(START, mark, text("a"), ending(), STOP)).text == "a"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"type":"content_block_delta","index":0,"del\n\n',
        b'data: {"delta": {"text\n\n',
        b'data: {"type":"content_block_start","delta":1e999}\n\n',
    ],
)
def test_lost_content_is_an_error(event):
    with pytest.raises(WireError, match="not JSON"):
        read(START, event)


@given(canonical.JSON_VALUES)
def test_fields_of_any_type_are_survived(value):
    pieces = [
        {"type": kind, "text": value, "thinking": value, "signature": value}
        | {"partial_json": value, "stop_reason": value, "stop_sequence": value}
        for kind in ("text_delta", "thinking_delta", "signature_delta", "new")
    ] + [{"type": "input_json_delta", "partial_json": value}]
    kinds = ["message_start", "content_block_start", "content_block_delta"]
    events = [
        {"type": kind, "index": value, "delta": piece, "content_block": piece}
        | {"message": value, "usage": value}
        for kind in [*kinds, "content_block_stop", "message_delta", "new"]
        for piece in [value, *pieces]
    ]
    for event in (value, *events):
        with suppress(WireError):
            read(b"data: %b\n\n" % orjson.dumps(event), ending())


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("delta", 42),
        ("delta", {"type": 42, "text": "a"}),
        ("delta", {"type": "text_delta", "text": 42}),
        ("delta", {"type": "text_delta", "text": {"text": ["a"]}}),
        ("delta", {"type": "thinking_delta", "thinking": 42}),
        ("delta", {"type": "signature_delta", "signature": 42}),
        ("delta", {"type": "input_json_delta", "partial_json": 42}),
        ("content_block", {"type": "text", "text": 42}),
        ("content_block", 42),
    ],
)
def test_a_piece_that_cannot_be_read_is_an_error(name, piece):
    kind = "content_block_start" if name == "content_block" else "content_block_delta"
    lost = {"type": kind, "index": 0, name: piece}
    with pytest.raises(WireError):
        read(START, text("one "), lost, text("two"), ending(), STOP)


@pytest.mark.parametrize(
    "delta",
    [
        None,
        {"type": "text_delta"},
        {"type": "text_delta", "text": None},
        {"type": "citations_delta", "citation": {}},
    ],
)
def test_a_piece_may_be_empty_or_new(delta):
    empty = {"type": "content_block_delta", "index": 0, "delta": delta}
    assert gather(read(START, text("a"), empty, ending(), STOP)).text == "a"


def test_an_error_event_is_a_fault():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    with pytest.raises(UpstreamFaultError) as caught:
        read(START, error)
    assert caught.value.detail.status == 529


@pytest.mark.parametrize("end", [(), (STOP,), (ending(None), STOP)])
def test_a_stream_without_stop_reason_is_not_whole(end):
    with pytest.raises(WireError, match="stop reason"):
        read(START, text("a"), *end)


def test_a_stream_without_message_stop_is_whole():
    assert gather(read(START, text("a"), ending())).text == "a"


def test_an_endless_line_is_an_error():
    decoder = DIALECT.stream_decoder()
    with pytest.raises(WireError):
        decoder.feed(b"x" * (2 << 20))


def test_nothing_is_read_after_the_end():
    decoder = DIALECT.stream_decoder()
    decoder.feed(b'data: {"type": "message_stop"}\n\ndata: {"type": "error"}\n\n')
    assert decoder.done


def test_a_stream_is_written_event_by_event():
    data = write(
        Chunk(model="claude-x", usage=Usage(9, 1, 4, 3, source="provider")),
        Chunk("Hel"),
        Chunk('"lo"'),
        Chunk(finish_reason="stop"),
        Chunk(usage=Usage(9, 7, 4, 3, 2, "provider")),
    )
    usage = {
        "input_tokens": 2,
        "output_tokens": 1,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 3,
        "output_tokens_details": None,
        "server_tool_use": None,
    }
    assert events_of(data) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_abc",
                "type": "message",
                "role": "assistant",
                "model": "claude-x",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "stop_details": None,
                "container": None,
                "usage": usage
                | dict.fromkeys(
                    ["cache_creation", "inference_geo", "service_tier", "speed"]
                ),
            },
        },
        start({"type": "text", "text": "", "citations": []}),
        text("Hel"),
        text('"lo"'),
        stop(),
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "stop_details": None,
                "container": None,
            },
            "usage": usage
            | {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}},
        },
        STOP,
    ]
    assert data.startswith(b'event: message_start\ndata: {"type":"message_start",')


def test_nothing_waits_for_the_end_that_can_go_now():
    encoder = SURFACE.stream_encoder(ASKED)
    assert encoder.feed([]) == b""
    first = events_of(encoder.feed([Chunk("a"), Chunk("b")]))
    assert [event["type"] for event in first] == [
        *("message_start", "content_block_start"),
        *("content_block_delta", "content_block_delta"),
    ]
    assert encoder.feed([Chunk(finish_reason="stop"), Chunk(usage=Usage(1))]) == b""


def test_thoughts_have_blocks_of_their_own():
    thought, hidden, said = blocks(
        Chunk(delta=ThinkingDelta("h")),
        Chunk(delta=ThinkingDelta("m")),
        Chunk(delta=ThinkingDelta("", "s")),
        Chunk(delta=ThinkingDelta(encrypted="r")),
        Chunk("a"),
        Chunk(finish_reason="stop"),
    )
    assert thought == {
        "type": "thinking",
        "thinking": "",
        "signature": "",
        "deltas": [
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "s"},
        ],
    }
    assert hidden == {"type": "redacted_thinking", "data": "r", "deltas": []}
    assert said["type"] == "text"


def test_thoughts_and_text_in_one_chunk_are_in_this_order():
    kinds = [block["type"] for block in blocks(Chunk("a", delta=ThinkingDelta("t")))]
    assert kinds == ["thinking", "text"]


def test_a_call_grows():
    [call] = blocks(
        Chunk(delta=ToolCallDelta(0, "toolu_1", "f")),
        Chunk(delta=ToolCallDelta(0, arguments='{"x":')),
        Chunk(delta=ToolCallDelta(0, arguments="1}")),
        Chunk(finish_reason="tool_calls"),
    )
    assert call == {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "f",
        "input": {},
        "caller": {"type": "direct"},
        "deltas": [
            {"type": "input_json_delta", "partial_json": '{"x":'},
            {"type": "input_json_delta", "partial_json": "1}"},
        ],
    }


def arguments(block):
    return "".join([piece["partial_json"] for piece in block["deltas"]])


def test_calls_that_are_written_at_once_come_one_after_the_other():
    chunks = [
        Chunk(delta=ToolCallDelta(0, "1", "f", '{"a"')),
        Chunk(delta=ToolCallDelta(1, "2", "g", '{"b"')),
        Chunk("text", delta=ToolCallDelta(0, arguments=":1")),
        Chunk(delta=ThinkingDelta("t", "s")),
        Chunk(delta=ToolCallDelta(1, arguments=":2}")),
        Chunk(delta=ToolCallDelta(2, "3", "h")),
        Chunk(delta=ToolCallDelta(0, arguments="}")),
        Chunk(finish_reason="tool_calls"),
    ]
    first, second, said, thought, third = blocks(*chunks)
    assert (arguments(first), arguments(second)) == ('{"a":1}', '{"b":2}')
    assert (third["id"], third["deltas"]) == ("3", [])
    assert (said["type"], thought["type"]) == ("text", "thinking")


def test_a_call_that_is_whole_does_not_hold_back_the_next():
    encoder = SURFACE.stream_encoder(ASKED)
    encoder.feed([Chunk(delta=ToolCallDelta(0, "1", "f", '{"a":1}'))])
    data = encoder.feed([Chunk(delta=ToolCallDelta(1, "2", "g", '{"b"'))])
    assert [event["type"] for event in events_of(data)] == [
        *("content_block_stop", "content_block_start", "content_block_delta"),
    ]


def test_a_call_of_a_custom_tool_has_its_text_as_input():
    said, call, more = blocks(
        Chunk("a"),
        Chunk(delta=ToolCallDelta(0, "1", "f", 'x"', custom=True)),
        Chunk("b", delta=ToolCallDelta(0, arguments="y")),
        Chunk(finish_reason="tool_calls"),
    )
    assert arguments(call) == r'{"input":"x\"y"}'
    assert [block["deltas"][0]["text"] for block in (said, more)] == ["a", "b"]


@pytest.mark.parametrize("chunks", [[], [Chunk(finish_reason="stop")]])
def test_an_empty_answer_is_an_empty_text(chunks):
    [block] = blocks(*chunks)
    assert (block["type"], block["text"], block["deltas"]) == ("text", "", [])


def test_keepalive_is_a_ping():
    assert SURFACE.keepalive == b'event: ping\ndata: {"type":"ping"}\n\n'


RESPONSES = canonical.responses(
    thinking=canonical.signed_thinking(), calls=canonical.tool_calls()
)


@given(st.data(), RESPONSES)
def test_streamed_is_the_same_as_not_streamed(data, response):
    stream = write(*data.draw(canonical.chunks_of(response)))
    decoder = DIALECT.stream_decoder()
    chunks = []
    for piece in data.draw(canonical.cut(stream)):
        chunks += decoder.feed(piece)
    chunks += decoder.close()
    whole = DIALECT.decode_response(SURFACE.encode_response(response, ASKED))
    assert gather(chunks) == whole == response
    assert decoder.done


@given(RESPONSES, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_lines_may_end_in_any_way(response, end):
    assert gather(read(write(*scatter(response)), end=end)) == response


@given(st.data(), RESPONSES)
def test_the_vendors_client_understands_what_is_written(data, response):
    stream = write(*data.draw(canonical.chunks_of(response)))
    snapshot, buffers = None, {}
    for event in events_of(stream):
        parsed = SDK_EVENT.validate_python(event)
        snapshot = accumulate_event(
            event=parsed, current_snapshot=snapshot, json_bufs=buffers
        )
    body = orjson.dumps(snapshot.model_dump(mode="json", warnings=False))
    assert DIALECT.decode_response(body) == response


@given(st.data())
def test_calls_interleaved_in_any_way_arrive_whole(data):
    calls = data.draw(canonical.unique_calls(canonical.tool_calls(), 2))
    queues = [
        [Chunk(delta=ToolCallDelta(number, call.id, call.name))]
        + [Chunk(delta=ToolCallDelta(number, arguments=c)) for c in call.arguments]
        for number, call in enumerate(calls)
    ]
    chunks = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        chunks.append(queue.pop(0))
    chunks += [Chunk(model="m", finish_reason="tool_calls", usage=Usage(source="none"))]
    assert gather(read(write(*chunks))).parts == gather(chunks).parts


def test_text_between_parts_stays_where_it_is():
    parts = (Text("a"), ToolCall("1", "f", "{}"), Text("b"), Thinking("t", "s"))
    response = ChatResponse(parts, "m", "stop", Usage(1, 1, source="provider"))
    assert gather(read(write(*scatter(response)))) == response

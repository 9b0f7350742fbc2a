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
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.openai_responses import OpenAIResponses, OpenAIResponsesSurface
from llm_proxy.wire.scattering import scatter
from llm_proxy.wire.sse import EventTooLargeError
from llm_proxy.wire.surface import Asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openai import omit
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

DIALECT = OpenAIResponses()
SURFACE = OpenAIResponsesSurface()
SDK_EVENT = TypeAdapter(ResponseStreamEvent)
CUSTOM = {"tools": [{"type": "custom", "name": "patch"}]}
ASKED = Asked("abc", 1700000000, "asked-model", {"input": "Hello"})
ASKED_CUSTOM = Asked("abc", 1700000000, "asked-model", {"input": "Hello", **CUSTOM})
COUNTED = Usage(9, 7, 4, 3, 2, "provider")
LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}


# What upstreams send.


def event(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def created():
    return event("created", response={"model": "gpt-x", "status": "in_progress"})


def added(index, **item):
    return event("output_item.added", output_index=index, item=item)


def done(index, **item):
    return event("output_item.done", output_index=index, item=item)


def ended(*output, status="completed", **more):
    usage = {"input_tokens": 3, "output_tokens": 2}
    response = {"status": status, "model": "gpt-x", "output": output, "usage": usage}
    return event(status, response={**response, **more})


def text_delta(value, index=0, part=0):
    return event(
        "output_text.delta",
        output_index=index,
        content_index=part,
        delta=value,
        logprobs=[],
    )


def message(*texts):
    content = [{"type": "output_text", "text": value} for value in texts]
    return {"type": "message", "id": "msg_1", "content": content}


CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"x":1}',
}


def read(*events, end=b"\n"):
    decoder = DIALECT.stream_decoder()
    chunks = []
    for one in events:
        data = one
        if not isinstance(one, bytes):
            kind = str(one.get("type")).encode()
            data = b"event: %b\ndata: %b\n\n" % (kind, json.dumps(one).encode())
        chunks += decoder.feed(data.replace(b"\n", end))
    return chunks + decoder.close()


def test_a_stream_is_read_event_by_event():
    assert read(
        created(),
        event("in_progress", response={}),
        added(0, type="reasoning", id="rs_1", summary=[], encrypted_content="early"),
        event("reasoning_summary_part.added", output_index=0, summary_index=0),
        event(
            "reasoning_summary_text.delta", output_index=0, summary_index=0, delta="t"
        ),
        event("reasoning_summary_text.done", output_index=0, summary_index=0, text="t"),
        event(
            "reasoning_summary_text.delta", output_index=0, summary_index=1, delta="u"
        ),
        event(
            "reasoning_summary_text.delta", output_index=0, summary_index=1, delta="v"
        ),
        done(
            0,
            type="reasoning",
            id="rs_1",
            summary=[{"text": "t"}, {"text": "uv"}],
            encrypted_content="gAAA",
        ),
        added(1, type="message", id="msg_1", content=[]),
        event("content_part.added", output_index=1, content_index=0, part={}),
        text_delta("Hel", 1),
        event(
            "output_text.delta",
            output_index=1,
            content_index=0,
            delta="lo",
            logprobs=[LOGPROB],
        ),
        event(
            "output_text.done",
            output_index=1,
            content_index=0,
            text="Hello",
            logprobs=[LOGPROB],
        ),
        done(1, **message("Hello")),
        added(2, **{**CALL, "arguments": ""}),
        event("function_call_arguments.delta", output_index=2, delta='{"x"'),
        event("function_call_arguments.delta", output_index=2, delta=":1}"),
        event("function_call_arguments.done", output_index=2, arguments='{"x":1}'),
        done(2, **CALL),
        added(3, type="custom_tool_call", call_id="c2", name="patch", input=""),
        event("custom_tool_call_input.delta", output_index=3, delta="free"),
        event("custom_tool_call_input.done", output_index=3, input="free"),
        done(3, type="custom_tool_call", call_id="c2", name="patch", input="free"),
        event("a_thing_of_the_future", delta="x"),
        ended(message("Hello"), CALL),
    ) == [
        Chunk(model="gpt-x"),
        Chunk(delta=ThinkingDelta("t")),
        Chunk(delta=ThinkingDelta("\n\nu")),
        Chunk(delta=ThinkingDelta("v")),
        Chunk(delta=ThinkingDelta(encrypted="openai:rs_1:gAAA")),
        Chunk("Hel"),
        Chunk("lo", logprobs=(LOGPROB,)),
        Chunk(delta=ToolCallDelta(0, "c1", "f")),
        Chunk(delta=ToolCallDelta(0, arguments='{"x"')),
        Chunk(delta=ToolCallDelta(0, arguments=":1}")),
        Chunk(delta=ToolCallDelta(1, "c2", "patch", custom=True)),
        Chunk(delta=ToolCallDelta(1, arguments="free")),
        Chunk(
            finish_reason="tool_calls",
            usage=Usage(3, 2, source="provider"),
            model="gpt-x",
        ),
    ]


WHOLE = (Text("Hello"), ToolCall("c1", "f", '{"x":1}'))


@pytest.mark.parametrize(
    "events",
    [
        [ended(message("Hello"), CALL)],
        [done(0, **message("Hello")), done(1, **CALL), ended()],
        [
            added(0, type="message", id="msg_1"),
            event("output_text.done", output_index=0, content_index=0, text="Hello"),
            added(1, **{**CALL, "arguments": ""}),
            event("function_call_arguments.done", output_index=1, arguments='{"x":1}'),
            ended(message("Hello"), CALL),
        ],
        [
            text_delta("Hel"),
            done(0, **message("Hello")),
            added(1, **CALL),
            event("function_call_arguments.delta", output_index=1, delta='{"x'),
            ended(message("Hello"), CALL),
        ],
        [
            text_delta("Hello"),
            event("function_call_arguments.delta", output_index=1, delta="nameless"),
            done(1, **CALL),
            ended(message("Hello"), CALL),
        ],
        [
            added(1, type="message", id="msg_1"),
            text_delta("Hello", 1),
            done(1, **message("Hello")),
            added(3, **CALL),
            done(3, **CALL),
            ended(message("Hello"), CALL),
        ],
        [
            text_delta("He"),
            text_delta("llo", part=1),
            ended(message("He", "llo"), CALL),
        ],
    ],
)
def test_what_is_said_twice_is_heard_once(events):
    assert gather(read(*events)).parts == WHOLE


@pytest.mark.parametrize(
    "events",
    [
        [event("reasoning_text.delta", output_index=0, content_index=0, delta="open")],
        [
            event("reasoning_text.delta", output_index=0, content_index=0, delta="op"),
            event(
                "reasoning_summary_text.delta",
                output_index=0,
                summary_index=0,
                delta="short",
            ),
        ],
        [],
    ],
)
def test_open_thoughts_are_read(events):
    item = {
        "type": "reasoning",
        "content": [{"type": "reasoning_text", "text": "open"}],
    }
    response = gather(read(*events, done(0, **item), ended(item)))
    assert response.parts == (Thinking("open"),)


@pytest.mark.parametrize(
    "events",
    [
        [
            event("refusal.delta", output_index=0, content_index=0, delta="N"),
            event("refusal.delta", output_index=0, content_index=0, delta="o."),
        ],
        [event("refusal.done", output_index=0, content_index=0, refusal="No.")],
        [done(0, type="message", content=[{"type": "refusal", "refusal": "No."}])],
    ],
)
def test_a_refusal_is_text_and_a_finish_reason(events):
    response = gather(read(*events, ended()))
    assert (response.text, response.finish_reason) == ("No.", "refusal")


@pytest.mark.parametrize(
    ("end", "finish_reason"),
    [
        (ended(), "stop"),
        (ended(status="incomplete"), "length"),
        (
            ended(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "content_filter",
        ),
    ],
)
def test_the_last_event_tells_the_finish_reason(end, finish_reason):
    assert gather(read(text_delta("a"), end)).finish_reason == finish_reason


@pytest.mark.parametrize(
    "mark",
    [
        b": comment\n\n",
        b"data: ping\n\n",
        b"data: {?}\n\n",
        b"data: [DONE]\n\n",
        b'data: {"type": "keepalive"}\n\n',
    ],
)
def test_what_is_no_event_is_skipped(mark):
    assert gather(read(created(), mark, text_delta("a"), ended())).text == "a"


@pytest.mark.parametrize(
    "lost",
    [
        b'data: {"type":"response.output_text.delta","delta":"x\n\n',
        b'data: {"type":"response.output_item.done","item":{"id\n\n',
        b'data: {"type":"response.completed","response":1e999}\n\n',
    ],
)
def test_lost_content_is_an_error(lost):
    with pytest.raises(WireError, match="not JSON"):
        read(created(), lost)


@given(canonical.JSON_VALUES)
def test_fields_of_any_type_are_survived(value):
    names = ["output_index", "content_index", "summary_index", "delta", "text", "item"]
    names += ["response", "refusal", "arguments", "logprobs"]
    kinds = ["output_text", "refusal", "function_call_arguments", "reasoning_text"]
    kinds += ["custom_tool_call_input", "reasoning_summary_text", "output_item"]
    events = [
        event(f"{kind}.{how}", **dict.fromkeys(names, value))
        for kind in kinds
        for how in ["added", "delta", "done"]
    ]
    for one in (value, {"type": value}, *events, ended(value)):
        with suppress(WireError):
            read(b"data: %b\n\n" % orjson.dumps(one), ended())


@pytest.mark.parametrize(
    "lost",
    [
        text_delta(42),
        text_delta({"text": ["a"]}),
        event("output_text.done", text=42),
        event("refusal.delta", delta=42),
        event("refusal.done", refusal=42),
        event("function_call_arguments.delta", delta=42),
        event("function_call_arguments.done", arguments=42),
        event("custom_tool_call_input.done", input=42),
        event("reasoning_summary_text.delta", delta=42),
        event("output_item.added", item=42),
        event("output_item.done", item=42),
        done(1, **message(42)),
        ended(42),
        ended(message(42)),
    ],
)
def test_a_piece_that_cannot_be_read_is_an_error(lost):
    with pytest.raises(WireError):
        read(created(), text_delta("one "), lost, text_delta("two"), ended())


def test_a_piece_may_be_empty():
    empty = [
        text_delta(None),
        event("output_text.done", text=None),
        event("function_call_arguments.done"),
        event("output_item.done", item=None),
    ]
    assert gather(read(text_delta("a"), *empty, ended())).text == "a"


def test_only_what_is_said_at_once_may_be_large():
    large = "a" * (2 << 20)
    assert gather(read(ended(message(large)))).text == large
    assert gather(read(done(0, **message(large)), ended())).text == large
    with pytest.raises(EventTooLargeError):
        read(text_delta(large), ended())


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (
            event("failed", response={"error": {"code": "rate_limit_exceeded"}}),
            429,
        ),
        (event("failed", response={"error": {"code": "invalid_image"}}), 400),
        (event("failed", response=None), None),
        ({"type": "error", "code": "server_error", "message": "m"}, 500),
        (
            {"type": "error", "error": {"type": "server_error", "code": None}},
            500,
        ),
        ({"error": {"code": "rate_limit_exceeded"}}, 429),
    ],
)
@pytest.mark.parametrize("before", [[], [created(), text_delta("a")]])
def test_an_error_event_is_a_fault(fault, status, before):
    with pytest.raises(UpstreamFaultError) as caught:
        read(*before, fault)
    assert caught.value.detail.status == status


def test_a_stream_without_its_last_event_is_not_whole():
    with pytest.raises(WireError, match="before the response did"):
        read(created(), text_delta("a"), done(0, **message("a")))


def test_the_last_empty_line_may_be_missing():
    last = b"data: " + json.dumps(ended(message("a"))).encode()
    assert gather(read(created(), last)).text == "a"


def test_an_endless_line_is_an_error():
    with pytest.raises(WireError):
        read(b"x" * (17 << 20))


def test_nothing_is_read_after_the_end():
    decoder = DIALECT.stream_decoder()
    last = b"data: " + json.dumps(ended()).encode()
    chunks = decoder.feed(last + b'\n\ndata: {"type": "error"}\n\n')
    assert (decoder.done, len(chunks)) == (True, 1)
    assert decoder.feed(b'data: {"type": "error"}\n\n') == []
    assert decoder.close() == []


# What callers get.


def write(*chunks, asked=ASKED):
    encoder = SURFACE.stream_encoder(asked)
    data = b"".join([encoder.feed([chunk]) for chunk in chunks])
    return data + encoder.close()


def events_of(data):
    """The events of a stream, numbered from 0; each one's name is its type."""
    events = []
    assert data.endswith(b"\n\n")
    for number, one in enumerate(data[:-2].split(b"\n\n")):
        name, payload = one.split(b"\n")
        value = orjson.loads(payload.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        assert value.pop("sequence_number") == number
        events.append(value)
    return events


def kinds_of(data):
    return [one["type"].removeprefix("response.") for one in events_of(data)]


def output_of(*chunks, asked=ASKED):
    """The final output, which the vendor's SDK puts together in the same way."""
    data = write(*chunks, asked=asked)
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    items = {}
    for number, one in enumerate(events_of(data)):
        parsed = SDK_EVENT.validate_python({**one, "sequence_number": number})
        state.handle_event(parsed)
        if one["type"] == "response.output_item.done":
            items[one["output_index"]] = one["item"]
    output = one["response"]["output"]
    assert [items[index] for index in range(len(items))] == output
    return output


def test_a_text_is_written_event_by_event():
    data = write(
        Chunk(model="gpt-x"),
        Chunk("Hel"),
        Chunk("lo", logprobs=(LOGPROB,)),
        Chunk(finish_reason="stop"),
        Chunk(usage=COUNTED),
    )
    first, second, *inner, last = events_of(data)
    assert first["type"] == "response.created"
    assert second == {**first, "type": "response.in_progress"}
    begun = first["response"]
    assert (begun["id"], begun["status"]) == ("resp_abc", "in_progress")
    assert (begun["model"], begun["output"], begun["usage"]) == ("gpt-x", [], None)
    place = {"item_id": "msg_abc0", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "annotations": []}
    empty = {**part, "text": "", "logprobs": []}
    whole = {**part, "text": "Hello", "logprobs": [LOGPROB]}
    item = {"id": "msg_abc0", "type": "message", "role": "assistant"}
    item_done = {**item, "status": "completed", "content": [whole]}
    assert inner == [
        event(
            "output_item.added",
            output_index=0,
            item={**item, "status": "in_progress", "content": []},
        ),
        event("content_part.added", **place, part=empty),
        event("output_text.delta", **place, delta="Hel", logprobs=[]),
        event("output_text.delta", **place, delta="lo", logprobs=[LOGPROB]),
        event("output_text.done", **place, text="Hello", logprobs=[LOGPROB]),
        event("content_part.done", **place, part=whole),
        event("output_item.done", output_index=0, item=item_done),
    ]
    answer = ChatResponse(
        (Text("Hello"),), "gpt-x", "stop", COUNTED, logprobs=(LOGPROB,)
    )
    whole = orjson.loads(SURFACE.encode_response(answer, ASKED))
    assert last == event("completed", response=whole)


def test_every_part_has_its_events():
    chunks = [
        Chunk(delta=ThinkingDelta("h")),
        Chunk(delta=ThinkingDelta("m", "s")),
        Chunk(delta=ThinkingDelta(encrypted="e")),
        Chunk(delta=ToolCallDelta(0, "c1", "f", '{"x":')),
        Chunk(delta=ToolCallDelta(0, arguments="1}")),
        Chunk(delta=ToolCallDelta(1, "c2", "patch", "", True)),
        Chunk(delta=ToolCallDelta(1, arguments="free")),
        Chunk(finish_reason="tool_calls"),
    ]
    assert kinds_of(write(*chunks)) == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added"),
        *("reasoning_summary_text.delta", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done"),
        "output_item.done",
        *("output_item.added", "output_item.done"),
        "output_item.added",
        *("function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "custom_tool_call_input.delta"),
        *("custom_tool_call_input.done", "output_item.done"),
        "completed",
    ]
    thought, hidden, call, custom = output_of(*chunks)
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert thought["encrypted_content"] == "signature:s"
    assert (hidden["summary"], hidden["encrypted_content"]) == ([], "encrypted:e")
    assert (call["id"], call["arguments"]) == ("fc_abc2", '{"x":1}')
    assert (custom["id"], custom["input"]) == ("ctc_abc3", "free")


def test_deltas_say_where_they_belong():
    data = write(
        Chunk("a", delta=ThinkingDelta("t")),
        Chunk(delta=ToolCallDelta(0, "c1", "f", "{}")),
        Chunk(finish_reason="tool_calls"),
    )
    deltas = [one for one in events_of(data) if one["type"].endswith(".delta")]
    assert deltas == [
        event(
            "reasoning_summary_text.delta",
            item_id="rs_abc0",
            output_index=0,
            summary_index=0,
            delta="t",
        ),
        event(
            "output_text.delta",
            item_id="msg_abc1",
            output_index=1,
            content_index=0,
            delta="a",
            logprobs=[],
        ),
        event(
            "function_call_arguments.delta",
            item_id="fc_abc2",
            output_index=2,
            delta="{}",
        ),
    ]


def test_nothing_waits_for_the_end_that_can_go_now():
    encoder = SURFACE.stream_encoder(ASKED)
    assert encoder.feed([]) == b""
    assert kinds_of(encoder.feed([Chunk(model="gpt-x")])) == ["created", "in_progress"]
    data = encoder.feed([Chunk("a"), Chunk("b")])
    assert data.count(b"event: response.output_text.delta\n") == 2
    assert encoder.feed([Chunk(finish_reason="stop"), Chunk(usage=COUNTED)]) == b""


def test_an_answer_without_parts_has_no_items():
    assert kinds_of(write(Chunk(finish_reason="stop"))) == [
        *("created", "in_progress", "completed"),
    ]


@pytest.mark.parametrize("custom", [True, False])
def test_a_call_of_a_custom_tool_brings_free_text_as_it_grows(custom):
    arguments = ["fr", 'ee\n"']
    if not custom:
        arguments = ['{"in', 'put": "fr', "ee\\", 'n\\""}']
    data = write(
        Chunk(delta=ToolCallDelta(0, "c", "patch", "", custom)),
        *(Chunk(delta=ToolCallDelta(0, arguments=piece)) for piece in arguments),
        Chunk(finish_reason="tool_calls"),
        asked=ASKED_CUSTOM,
    )
    pieces = [one["delta"] for one in events_of(data) if "delta" in one["type"]]
    assert "".join(pieces) == 'free\n"'
    assert len(pieces) > 1
    [item] = orjson.loads(data.split(b"data: ")[-1])["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", 'free\n"')


def test_a_function_of_no_arguments_gets_an_empty_object():
    [call] = output_of(
        Chunk(delta=ToolCallDelta(0, "c", "f")), Chunk(finish_reason="tool_calls")
    )
    assert call["arguments"] == "{}"


def test_calls_may_be_written_at_once():
    first, second, said, third = output_of(
        Chunk(delta=ToolCallDelta(0, "1", "f", '{"a"')),
        Chunk(delta=ToolCallDelta(1, "2", "g", '{"b"')),
        Chunk("text", delta=ToolCallDelta(0, arguments=":1")),
        Chunk(delta=ToolCallDelta(1, arguments=":2}")),
        Chunk(delta=ToolCallDelta(2, "3", "h", "{}")),
        Chunk(delta=ToolCallDelta(0, arguments="}")),
        Chunk(finish_reason="tool_calls"),
    )
    assert (first["arguments"], second["arguments"]) == ('{"a":1}', '{"b":2}')
    assert said["content"][0]["text"] == "text"
    assert third["call_id"] == "3"


def test_a_call_that_is_whole_ends_where_the_next_begins():
    encoder = SURFACE.stream_encoder(ASKED)
    encoder.feed([Chunk(delta=ToolCallDelta(0, "1", "f", '{"a":1}'))])
    data = encoder.feed([Chunk(delta=ToolCallDelta(1, "2", "g", '{"b"'))])
    names = [line for line in data.split(b"\n") if line.startswith(b"event: ")]
    assert names == [
        b"event: response.function_call_arguments.done",
        b"event: response.output_item.done",
        b"event: response.output_item.added",
        b"event: response.function_call_arguments.delta",
    ]


@pytest.mark.parametrize("late", [True, False])
def test_the_proof_of_a_call_follows_it(late):
    signed = ToolCallDelta(0, "c1", "f", "{}", signature="" if late else "sig")
    output = output_of(
        Chunk(delta=signed),
        Chunk(delta=ToolCallDelta(1, "c2", "g", "{}")),
        *([Chunk(delta=ToolCallDelta(0, signature="sig"))] if late else []),
        Chunk(finish_reason="tool_calls"),
    )
    proofs = [item for item in output if item["type"] == "reasoning"]
    assert [proof["encrypted_content"] for proof in proofs] == ["call:sig:c1"]


def test_thoughts_that_say_nothing_are_no_item():
    chunks = [Chunk("a", delta=ThinkingDelta()), Chunk(finish_reason="stop")]
    assert [item["type"] for item in output_of(*chunks)] == ["message"]


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_that_is_cut_off_is_incomplete(finish_reason, reason):
    chunks = [
        Chunk(delta=ToolCallDelta(0, "c", "f", "{}")),
        Chunk("a"),
        Chunk(finish_reason=finish_reason),
    ]
    last = events_of(write(*chunks))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    statuses = [item["status"] for item in output_of(*chunks)]
    assert statuses == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("before", "content"),
    [
        ([Chunk("N"), Chunk("o.")], ["output_text", "refusal"]),
        ([], ["refusal"]),
        ([Chunk(delta=ThinkingDelta("t"))], ["refusal"]),
    ],
)
def test_a_refusal_is_told_when_it_is_known(before, content):
    chunks = [*before, Chunk(finish_reason="refusal")]
    message_ = output_of(*chunks)[-1]
    assert [part["type"] for part in message_["content"]] == content
    assert message_["content"][-1]["refusal"] == ""
    assert kinds_of(write(*chunks))[-5:] == [
        *("content_part.added", "refusal.done", "content_part.done"),
        *("output_item.done", "completed"),
    ]


THOUGHTS = st.one_of(
    st.builds(Thinking, canonical.TEXTS),
    st.builds(Thinking, st.just("") | canonical.TEXTS, canonical.TEXTS),
    st.builds(Thinking, st.just("") | canonical.TEXTS, encrypted=canonical.TEXTS),
)
CALLS = st.one_of(
    canonical.tool_calls(),
    canonical.tool_calls(custom=st.just(True), arguments=st.just("") | canonical.TEXTS),
    st.builds(
        ToolCall,
        canonical.NAMES,
        st.just("patch"),
        canonical.TEXTS.map(lambda text: orjson.dumps({"input": text}).decode()),
    ),
)
RESPONSES = canonical.responses(
    thinking=THOUGHTS,
    calls=CALLS,
    usage=canonical.usages() | st.just(Usage()),
    finish_reasons=st.sampled_from(["stop", "length", "content_filter", "refusal"]),
)


@given(RESPONSES, st.data(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_is_the_same_as_a_whole_answer(response, draw, end):
    chunks = draw.draw(canonical.chunks_of(response))
    written = write(*chunks, asked=ASKED_CUSTOM)
    output_of(*chunks, asked=ASKED_CUSTOM)
    decoder = DIALECT.stream_decoder()
    heard = []
    for piece in draw.draw(canonical.cut(written.replace(b"\n", end))):
        heard += decoder.feed(piece)
    heard += decoder.close()
    whole = SURFACE.encode_response(gather(chunks), ASKED_CUSTOM)
    assert gather(heard) == DIALECT.decode_response(whole)


def test_a_text_between_calls_stays_between_them():
    parts = (
        Text("a"),
        ToolCall("1", "f", "{}", signature="s"),
        Text("b"),
        Thinking("t"),
        Text("c"),
        ToolCall("2", "g", "{}"),
    )
    response = ChatResponse(parts, "gpt-x", "tool_calls", COUNTED)
    heard = read(write(*scatter(response)))
    assert gather(heard) == response
    assert DIALECT.decode_response(SURFACE.encode_response(response, ASKED)) == response

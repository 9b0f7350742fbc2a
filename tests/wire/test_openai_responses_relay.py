import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.errors import LLMStreamBrokenError
from llm_proxy.types import Usage
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.openai_responses import (
    OpenAIResponses,
    failed_event,
    final_response,
)
from llm_proxy.wire.sse import EventTooLargeError
from llm_proxy.wire.surface import Asked

DIALECT = OpenAIResponses()
ASKED = Asked("abc", 1700000000, "asked-model", {"input": "Hello"})
COUNTED = Usage(5, 9, source="provider")


def event(kind, **fields):
    name = f"response.{kind}"
    value = {"type": name, **fields}
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(value))


BEGUN = {"id": "resp_1", "status": "in_progress", "model": "gpt-x", "output": []}
ENDED = {
    **BEGUN,
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 9},
}
CREATED = event("created", sequence_number=0, response=BEGUN)
IN_PROGRESS = event(
    "in_progress", response={**BEGUN, "instructions": 'Say "x.delta".', "error": None}
)
ADDED = event("output_item.added", output_index=0, item={"type": "message"})
DELTA = event("output_text.delta", sequence_number=4, delta="a")
DONE = event("output_text.done", text="a")
COMPLETED = event("completed", sequence_number=6, response=ENDED)
STREAM = CREATED + IN_PROGRESS + ADDED + DELTA + b": comment\n\n" + DONE + COMPLETED
LAST = Passage(COMPLETED, True, "stop", COUNTED, "gpt-x")


def reader():
    return DIALECT.passage_reader({"stream": True})


def feed_all(relay, data):
    relay.feed(data)
    relay.close()


def test_whole_events_pass_at_once_and_are_understood():
    relay = reader()
    assert relay.feed(CREATED) == [Passage(CREATED, model="gpt-x")]
    assert relay.feed(IN_PROGRESS) == [Passage(IN_PROGRESS)]
    assert relay.feed(ADDED) == [Passage(ADDED)]
    assert relay.feed(DELTA) == [Passage(DELTA, has_content=True)]
    assert relay.feed(DONE) == [Passage(DONE, has_content=True)]
    assert not relay.done
    assert relay.feed(COMPLETED) == [LAST]
    assert relay.done
    assert relay.close() == []


def test_a_whole_stream_in_one_read_is_understood():
    passages = reader().feed(STREAM)
    assert b"".join([passage.data for passage in passages]) == STREAM
    assert passages[0] == Passage(CREATED, model="gpt-x")
    assert Passage(DELTA, has_content=True) in passages
    assert passages[-1] == LAST


@pytest.mark.parametrize(
    "behind",
    [
        event("completed", response={"usage": {"output_tokens": 1000}}),
        b'event: error\ndata: {"type": "error", "code": "server_error"}\n\n',
        b"data: {half an event",
    ],
)
def test_nothing_passes_behind_the_last_event(behind):
    relay = reader()
    assert relay.feed(COMPLETED + behind) == [LAST]
    assert relay.feed(behind) == []
    assert relay.close() == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@given(draw=st.data())
def test_every_byte_passes_however_it_is_cut(end, draw):
    data = STREAM.replace(b"\n", end)
    relay = reader()
    passages = []
    for piece in draw.draw(canonical.cut(data)):
        passages += relay.feed(piece)
    passages += relay.close()
    assert b"".join([passage.data for passage in passages]) == data
    assert passages[-1][1:] == LAST[1:]
    assert any(passage.model == "gpt-x" for passage in passages)


def test_content_is_not_parsed():
    relay = reader()
    relay.feed(DELTA)
    broken = DELTA.replace(b'":', b'"')
    assert relay.feed(broken) == [Passage(broken, has_content=True)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_content_that_breaks_off_is_lost(end):
    relay = reader()
    relay.feed(DELTA.replace(b"\n", end))
    broken = DELTA.replace(b"}", b"") + DONE
    with pytest.raises(WireError):
        relay.feed(broken.replace(b"\n", end))


@pytest.mark.parametrize(
    "event",
    [
        event("output_text.delta", delta=42),
        event("output_text.delta", delta=42).replace(b":42", b": 42"),
        event("function_call_arguments.delta", delta={}),
        event("output_text.done", text=42),
    ],
)
def test_a_piece_that_is_no_text_is_an_error(event):
    for data in (event, DELTA + event + DELTA):
        relay = reader()
        relay.feed(CREATED + DELTA)
        with pytest.raises(WireError):
            feed_all(relay, data)


def test_pieces_of_types_unheard_of_pass():
    relay = reader()
    unknown = event("mcp_call.delta", delta={"new": 1})
    passages = relay.feed(CREATED + DELTA + unknown + COMPLETED)
    assert b"".join([passage.data for passage in passages]).count(unknown) == 1


def test_a_text_may_speak_of_other_events():
    relay = reader()
    relay.feed(DELTA)
    data = event("output_text.delta", delta='{"type":"response.completed"} "error"')
    assert relay.feed(data) == [Passage(data, has_content=True)]
    assert not relay.done


def test_events_may_have_no_names():
    lines = [line for line in STREAM.splitlines(True) if line[:2] != b"ev"]
    nameless = b"".join(lines)
    passages = reader().feed(nameless)
    assert b"".join([passage.data for passage in passages]) == nameless
    assert passages[-1][1:] == LAST[1:]


def test_an_unfinished_event_waits():
    relay = reader()
    assert relay.feed(DELTA[:50]) == []
    assert relay.feed(DELTA[50:] + DONE[:10]) == [Passage(DELTA, has_content=True)]
    assert relay.feed(DONE[10:]) == [Passage(DONE, has_content=True)]


def test_an_event_without_end_is_an_error():
    relay = reader()
    relay.feed(b"x" * (16 << 20))
    with pytest.raises(WireError, match="too large"):
        relay.feed(b"x")


@pytest.mark.parametrize("before", [CREATED, CREATED + DELTA])
def test_only_what_is_said_at_once_may_be_large(before):
    large = "a" * (2 << 20)
    item = event("output_item.done", item={"type": "image_generation_call", "x": large})
    relay = reader()
    relay.feed(before)
    assert relay.feed(item) == [Passage(item, has_content=True)]
    with pytest.raises(EventTooLargeError):
        relay.feed(event("output_text.delta", delta=large))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    ],
)
def test_an_incomplete_response_has_ended_too(response, reason):
    [passage] = reader().feed(event("incomplete", response=response))
    assert passage.finish_reason == reason


@pytest.mark.parametrize("before", [[], [CREATED, DELTA]])
@pytest.mark.parametrize(
    "fault",
    [
        event("failed", response={"error": {"code": "rate_limit_exceeded"}}),
        b'event: error\ndata: {"type": "error", "code": "rate_limit_exceeded"}\n\n',
        b'data: {"error": {"code": "rate_limit_exceeded"}}\n\n',
    ],
)
def test_an_error_event_is_a_fault(before, fault):
    relay = reader()
    for data in before:
        relay.feed(data)
    with pytest.raises(UpstreamFaultError) as caught:
        relay.feed(fault)
    assert caught.value.detail.status == 429


def test_a_damaged_last_event_is_an_error():
    with pytest.raises(WireError, match="not JSON"):
        reader().feed(COMPLETED.replace(b"}\n", b"\n"))


def test_a_stream_without_its_last_event_is_not_whole():
    relay = reader()
    relay.feed(CREATED + DELTA)
    with pytest.raises(WireError, match="before the response did"):
        relay.close()


def test_the_last_empty_line_may_be_missing():
    relay = reader()
    assert relay.feed(COMPLETED[:-2]) == []
    assert [passage.finish_reason for passage in relay.close()] == ["stop"]


def test_a_body_passes_with_another_model():
    body = b'{ "model": "alias", "input": "Hi", "zoo": {"model": 1} }'
    fields = orjson.loads(body)
    relayed = DIALECT.relay_request(body, fields, "gpt-x")
    assert relayed == body.replace(b'"alias"', b'"gpt-x"')
    assert DIALECT.relay_request(body, fields, "alias") is body


def test_a_whole_answer_is_looked_at():
    body = orjson.dumps(ENDED)
    assert DIALECT.observe(body) == Passage(body, True, "stop", COUNTED, "gpt-x")


@pytest.mark.parametrize(
    "output",
    [
        [{"type": "message", "content": [{"type": "output_text", "text": 1}]}],
        [{"type": "message", "content": 42}],
        [{"type": "message", "content": ["said"]}],
        [42],
    ],
)
def test_an_answer_that_cannot_be_read_is_none(output):
    with pytest.raises(WireError):
        DIALECT.observe(orjson.dumps({**ENDED, "output": output}))


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_response_in_the_background_has_no_end_yet(status):
    passage = DIALECT.observe(orjson.dumps({**BEGUN, "status": status}))
    assert (passage.finish_reason, passage.usage) == (None, Usage())


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ([], "stop"),
        ([{"type": "function_call", "call_id": "c", "name": "f"}], "tool_calls"),
        ([{"type": "custom_tool_call", "call_id": "c", "name": "f"}], "tool_calls"),
        ([{"type": "message", "content": [{"type": "refusal"}]}], "refusal"),
        ([{"type": "message", "content": None}, {"type": []}], "stop"),
    ],
)
def test_a_whole_answer_ends_as_its_output_says(output, reason):
    body = orjson.dumps({**ENDED, "output": output})
    assert DIALECT.observe(body).finish_reason == reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output": []}',
        b'{"output": [], "status": null}',
        b'{"status": "completed"}',
        b'{"error": {"type": "server_error"}}',
    ],
)
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.observe(body)


def test_the_last_event_carries_the_response():
    assert final_response(DONE + COMPLETED) == ENDED
    assert final_response(CREATED + DELTA) is None
    assert (
        final_response(event("output_text.delta", delta="response.completed")) is None
    )


def failure(first, latest):
    data = failed_event(LLMStreamBrokenError("Oh."), "r1", ASKED, first, latest)
    name, payload = data.removesuffix(b"\n\n").split(b"\n")
    assert name == b"event: response.failed"
    return orjson.loads(payload.removeprefix(b"data: "))


def test_a_response_that_broke_off_fails_with_the_next_number():
    assert failure(CREATED, DELTA) == {
        "type": "response.failed",
        "sequence_number": 5,
        "response": {
            **BEGUN,
            "status": "failed",
            "error": {"code": "server_error", "message": "Oh."},
        },
    }


def test_a_response_may_fail_before_anything_is_known_of_it():
    value = failure(b"", b"")
    assert value["sequence_number"] == 0
    assert (value["response"]["id"], value["response"]["status"]) == (
        *("resp_abc", "failed"),
    )

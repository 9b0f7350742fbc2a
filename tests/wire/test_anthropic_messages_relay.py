import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.types import Usage
from llm_proxy.wire.anthropic_messages import AnthropicMessages
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError

START = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"model": '
    b'"claude-x", "usage": {"input_tokens": 5, "output_tokens": 1}}}\n\n'
)
BLOCK = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"message_delta, \\"error\\""}}\n\n'
)
CALL = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"tool_use","id":"1","name":"f","input":{"x":1}}}\n\n'
)
END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":'
    b'"max_tokens"},"usage":{"output_tokens":9}}\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
STREAM = START + BLOCK + PING + DELTA + b": comment\n\n" + END + STOP
STARTED = Usage(5, 1, source="provider")
ENDED = Usage(5, 9, source="provider")


def reader():
    return AnthropicMessages().passage_reader({})


def feed_all(relay, data):
    relay.feed(data)
    relay.close()


def test_whole_events_pass_at_once_and_are_understood():
    relay = reader()
    assert relay.feed(START) == [Passage(START, usage=STARTED, model="claude-x")]
    assert relay.feed(BLOCK) == [Passage(BLOCK)]
    assert relay.feed(PING) == [Passage(PING)]
    assert relay.feed(DELTA) == [Passage(DELTA, has_content=True)]
    assert relay.feed(CALL) == [Passage(CALL, has_content=True)]
    assert relay.feed(END) == [Passage(END, True, "length", ENDED)]
    assert not relay.done
    assert relay.feed(STOP) == [Passage(STOP)]
    assert relay.done
    assert relay.close() == []


def test_a_whole_stream_in_one_read_is_understood():
    relay = reader()
    passages = relay.feed(STREAM + PING + b"event: pi")
    assert b"".join([passage.data for passage in passages]) == STREAM
    assert Passage(START, usage=STARTED, model="claude-x") in passages
    assert Passage(DELTA, has_content=True) in passages
    assert passages[-2:] == [Passage(END, True, "length", ENDED), Passage(STOP)]
    assert relay.done
    assert relay.close() == []


def test_content_is_not_parsed_behind_the_first():
    relay = reader()
    relay.feed(DELTA)
    broken = DELTA.replace(b'"index":', b'"index"')
    broken = broken.replace(b"message_", b"").replace(b"error", b"")
    assert relay.feed(broken) == [Passage(broken, has_content=True)]


@pytest.mark.parametrize(
    "text",
    [
        *(b"NaN", b"-Infinity", b"1e999", b"9" * 5000),
        *(b"[" * 100_000 + b"]" * 100_000, rb'"\ud800"', b'"a\0b"'),
    ],
    ids=["nan", "infinity", "exponent", "digits", "deep", "surrogate", "nul"],
)
def test_content_that_cannot_be_read_is_lost(text):
    head, _, _ = DELTA.partition(b'"message_delta')
    relay = reader()
    relay.feed(START + BLOCK)
    with pytest.raises(WireError, match="not JSON"):
        relay.feed(head + text + b"}}\n\n")


@pytest.mark.parametrize("before", [b"", DELTA])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_content_that_breaks_off_is_lost(before, end):
    relay = reader()
    relay.feed(before.replace(b"\n", end))
    # The end of one event is the beginning of the next: half of it may be missing.
    broken = DELTA.replace(b"}}", b"") + PING
    with pytest.raises(WireError):
        relay.feed(broken.replace(b"\n", end))


@pytest.mark.parametrize(
    "event",
    [
        DELTA.replace(b'"message_delta, \\"error\\""', b"42"),
        DELTA.replace(b'"message_delta, \\"error\\""', b" 42"),
        DELTA.replace(b'"message_delta, \\"error\\""', b'42,"type":"text_delta"'),
        b'data: {"type":"content_block_delta","delta":"text"}\n\n',
        BLOCK.replace(b'""', b"42"),
        START.replace(b"5", b"NaN"),
    ],
)
@pytest.mark.parametrize("before", [START, START + DELTA])
def test_a_piece_that_cannot_be_read_is_lost(event, before):
    for data in (event, DELTA + event + DELTA):
        relay = reader()
        relay.feed(before)
        with pytest.raises(WireError):
            feed_all(relay, data)


def test_heartbeats_that_are_no_json_pass():
    beat = b"data: still here\n\n"
    assert reader().feed(START + beat)[1] == Passage(beat)


def test_events_may_have_no_names():
    relay = reader()
    nameless = b"".join([line for line in STREAM.splitlines(True) if line[:2] != b"ev"])
    passages = relay.feed(nameless)
    assert b"".join([passage.data for passage in passages]) == nameless
    assert passages[-2].finish_reason == "length"
    assert relay.done


def test_an_unfinished_event_waits():
    relay = reader()
    assert relay.feed(DELTA[:50]) == []
    assert relay.feed(DELTA[50:] + PING[:10]) == [Passage(DELTA, has_content=True)]
    assert relay.feed(PING[10:]) == [Passage(PING)]


@given(st.data(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_no_byte_is_changed_however_the_stream_is_cut(data, end):
    stream = STREAM.replace(b"\n", end)
    relay = reader()
    passages = []
    for piece in data.draw(canonical.cut(stream)):
        passages += relay.feed(piece)
    relayed = b"".join([passage.data for passage in passages])
    assert stream.startswith(relayed)
    # Half of the last line end may be missing, which nobody notices.
    assert stream[len(relayed) :] in (b"", b"\r", b"\n")
    assert any(passage.has_content for passage in passages)
    assert [p.finish_reason for p in passages if p.finish_reason] == ["length"]
    assert [p.model for p in passages if p.model] == ["claude-x"]
    assert [p.usage for p in passages if p.usage][-1] == ENDED
    assert relay.done
    assert relay.close() == []


def test_a_missing_message_stop_is_made_up_for():
    relay = reader()
    relay.feed(START + DELTA + END + STOP[:-2])
    assert relay.close() == [Passage(STOP)]
    assert relay.done
    assert relay.close() == []


@pytest.mark.parametrize(
    "stream", [STOP, DELTA + STOP, END.replace(b'"max_tokens"', b"null") + STOP]
)
def test_a_message_does_not_stop_without_a_stop_reason(stream):
    relay = reader()
    passages = relay.feed(START + stream)
    assert STOP not in [passage.data for passage in passages]
    with pytest.raises(WireError, match="stop reason"):
        relay.close()


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        START + DELTA,
        START + END[:-1],
        START + END.replace(b'"max_tokens"', b"null"),
    ],
)
def test_a_stream_without_stop_reason_is_not_whole(stream):
    relay = reader()
    relay.feed(stream)
    with pytest.raises(WireError, match="stop reason"):
        relay.close()


@pytest.mark.parametrize("name", [b"event: error\n", b""])
def test_an_error_event_is_a_fault(name):
    error = b'data: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    relay = reader()
    relay.feed(START)
    with pytest.raises(UpstreamFaultError) as caught:
        relay.feed(name + error)
    assert caught.value.detail.status == 529


@pytest.mark.parametrize("piece", [b"x" * 65536, b"data:\n" * 10000])
def test_an_unfinished_event_is_bounded(piece):
    relay = reader()

    def feed_all():
        for _ in range(40):
            relay.feed(piece)

    with pytest.raises(WireError):
        feed_all()


@given(canonical.JSON_VALUES)
def test_fields_of_any_type_are_survived(value):
    events = [
        {"type": kind, "message": value, "usage": value, "delta": value}
        for kind in ("message_start", "message_delta")
    ] + [{"type": "message_delta", "delta": {"stop_reason": value}, "usage": {}}]
    data = b"".join([b"data: %b\n\n" % orjson.dumps(event) for event in events])
    passages = reader().feed(data)
    assert b"".join([passage.data for passage in passages]) == data

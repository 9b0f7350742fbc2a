import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.types import Usage
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.openai_chat import OpenAIChat
from llm_proxy.wire.sse import MAX_EVENT_BYTES, EventTooLargeError

DIALECT = OpenAIChat()
OPENAI = OpenAIChat(max_tokens_field="max_completion_tokens", developer_role=True)
HELLO = b'"messages":[{"role":"user","content":"Hello"}]'
WANTED = {"stream_options": {"include_usage": True}}


def relay(body, dialect=OPENAI):
    return dialect.relay_request(body, orjson.loads(body), "theirs")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b'{ "model" : "a/b", "new_field":[1e2, "\\u00e9"],%b}' % HELLO,
            b'{ "model" : "theirs", "new_field":[1e2, "\\u00e9"],%b}' % HELLO,
        ),
        (
            b'{"model":"a","stream":true,%b}' % HELLO,
            b'{"model":"theirs","stream":true,%b,"stream_options":'
            b'{"include_usage":true}}' % HELLO,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{"x":1},%b}' % HELLO,
            b'{"model":"theirs","stream":true,"stream_options":'
            b'{"x":1,"include_usage":true},%b}' % HELLO,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{ "include_usage": true},%b}'
            % HELLO,
            b'{"model":"theirs","stream":true,"stream_options":'
            b'{ "include_usage": true},%b}' % HELLO,
        ),
        (
            b'{"model":"a","max_completion_tokens":5,%b}' % HELLO,
            b'{"model":"theirs","max_completion_tokens":5,%b}' % HELLO,
        ),
    ],
)
def test_only_what_must_change_changes(body, sent):
    assert relay(body) == sent


def test_a_modest_upstream_is_spared_what_it_does_not_know():
    body = (
        b'{"model":"a","max_completion_tokens":5,"stream":true,'
        b'"messages":[{"role":"developer","content":"x"}]}'
    )
    sent = relay(body, OpenAIChat(stream_usage=False))
    assert orjson.loads(sent) == {
        "model": "theirs",
        "max_tokens": 5,
        "stream": True,
        "messages": [{"role": "system", "content": "x"}],
    }


def test_the_newer_bound_goes_before_the_older():
    body = b'{"model":"a","max_tokens":1,"max_completion_tokens":5,%b}' % HELLO
    assert orjson.loads(relay(body, DIALECT))["max_tokens"] == 5
    body = b'{"model":"a","max_tokens":1,"max_completion_tokens":null,%b}' % HELLO
    assert orjson.loads(relay(body, DIALECT))["max_tokens"] == 1


@pytest.mark.parametrize(
    ("choices", "has_content", "finish_reason"),
    [
        ([{"message": {"content": "Hi"}, "finish_reason": "stop"}], True, "stop"),
        ([{"message": {"content": None, "refusal": "No"}}], True, None),
        ([{"message": {"reasoning": "hm"}}], True, None),
        ([{"message": {}, "finish_reason": "length"}], True, "length"),
        (
            [{"message": {"tool_calls": [{}]}, "finish_reason": "stop"}],
            True,
            "tool_calls",
        ),
        ([{"text": "Hi"}], True, None),
        ([{"message": {"content": ""}}, {"message": {"content": "b"}}], True, None),
        ([{"message": {"content": None}}], False, None),
        ([{"finish_reason": "content_filter"}], True, "content_filter"),
        ([{"text": ""}], False, None),
    ],
)
def test_an_answer_passes_as_it_is(choices, has_content, finish_reason):
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    body = json.dumps({"model": "m", "choices": choices, "usage": usage}).encode()
    assert DIALECT.observe(body) == Passage(
        body, has_content, finish_reason, Usage(3, 2, source="provider"), "m"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"choices": 1}',
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{}]}',
    ],
)
def test_what_is_no_answer_does_not_pass(body):
    with pytest.raises(WireError):
        DIALECT.observe(body)


def test_an_error_does_not_pass():
    with pytest.raises(UpstreamFaultError):
        DIALECT.observe(b'{"error": {"message": "m"}, "choices": []}')


def chunk(delta, finish_reason=None, index=0, **more):
    choice = {
        "index": index,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    return event({"model": "m", "choices": [choice], "usage": None, **more})


def event(payload):
    return b"data: %b\n\n" % orjson.dumps(payload)


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
HI = chunk({"content": "Hi"}, obfuscation="x")
TRICKY = chunk({"content": '","usage":null,"finish_reason":"stop","error":{"usage":{'})
FINISH = chunk({}, "stop")
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2}
USAGE = event({"model": "m", "choices": [], "usage": COUNTS})
DONE = b"data: [DONE]\n\n"
WHOLE = (ROLE, HI, TRICKY, HI, FINISH, USAGE, DONE)


def passages(*pieces, **fields):
    reader = DIALECT.passage_reader(fields)
    found = [passage for data in pieces for passage in reader.feed(data)]
    found += reader.close()
    return found


def passed(found):
    return b"".join(passage.data for passage in found)


def without_usage(*events):
    return b"".join(events).replace(b',"usage":null', b"")


def test_the_first_content_is_told_from_the_role():
    role, hi, *_ = passages(*WHOLE)
    assert (role.has_content, hi.has_content) == (False, True)
    assert role.model == "m"


@pytest.mark.parametrize(
    "first",
    [
        {"content": "a"},
        {"refusal": "a"},
        {"reasoning_content": "a"},
        {"tool_calls": [{"index": 0}]},
        {"audio": {"id": "a"}},
    ],
)
def test_all_kinds_of_content_count(first):
    assert [
        each.has_content for each in passages(ROLE, chunk(first), FINISH, DONE)
    ] == [
        False,
        True,
        True,
        False,
    ]


@given(st.data(), st.booleans())
def test_the_bytes_pass_however_they_are_cut(data, crlf):
    whole = b": hello\n\n" + b"".join(WHOLE)
    pieces = whole.replace(b"\n", b"\r\n") if crlf else whole
    found = passages(*data.draw(canonical.cut(pieces)), **WANTED)

    assert passed(found) == whole
    assert [each.finish_reason for each in found if each.finish_reason] == ["stop"]
    assert [each.usage for each in found if each.usage] == [
        Usage(3, 2, source="provider")
    ]


@given(st.data())
def test_usage_is_hidden_from_who_did_not_ask(data):
    found = passages(*data.draw(canonical.cut(b"".join(WHOLE))))

    assert passed(found) == without_usage(ROLE, HI, TRICKY, HI, FINISH, DONE)
    assert [each.usage for each in found if each.usage] == [
        Usage(3, 2, source="provider")
    ]


def test_several_events_in_one_read_are_one_passage():
    reader = DIALECT.passage_reader(WANTED)
    reader.feed(ROLE + HI)
    assert reader.feed(HI + TRICKY + HI) == [Passage(HI + TRICKY + HI, True)]


def test_usage_in_the_last_chunk_counts_and_stays():
    last = chunk({"content": "a"}, "stop", usage=COUNTS)
    assert passages(HI, last)[1] == Passage(
        last, True, "stop", Usage(3, 2, source="provider"), "m"
    )


def test_usage_in_every_chunk_counts():
    middle = chunk({"content": "a"}, usage=COUNTS)
    assert passages(HI, middle, FINISH)[1].usage == Usage(3, 2, source="provider")


def test_an_end_that_was_forgotten_is_made_up_for():
    assert passages(HI, FINISH)[-1] == Passage(DONE)


def test_an_end_whose_last_line_is_missing_is_made_up_for():
    assert passed(passages(HI, FINISH, b"data: [DONE]\n")).endswith(b"\n\n" + DONE)


@pytest.mark.parametrize(
    "events", [(), (ROLE,), (HI,), (HI, DONE), (HI, FINISH[:-1]), (USAGE, DONE)]
)
def test_a_stream_without_finish_reason_is_not_whole(events):
    with pytest.raises(WireError, match="finish reason"):
        passages(*events)


@pytest.mark.parametrize(
    "data",
    [
        event({"error": {"message": "m"}}),
        chunk({"content": ""}, error={"message": "m"}),
        b'event: error\ndata: {"message": "m"}\n\n',
    ],
)
@pytest.mark.parametrize("before", [(), (HI,)])
def test_an_error_event_is_a_fault(before, data):
    with pytest.raises(UpstreamFaultError):
        passages(*before, data)


def test_lost_content_is_an_error_and_lost_words_are_left_out():
    with pytest.raises(WireError):
        passages(HI, b'data: {"choices": [{"del\n\n')
    assert passages(HI, b"data: keep-alive\n\n", FINISH)[1] == Passage(b"")
    assert passages(HI, b"retry: 9\n\n", FINISH)[1] == Passage(b"")


def test_content_that_is_no_text_is_an_error():
    with pytest.raises(WireError):
        passages(HI, HI.replace(b"Hi", b"\xff"))


@pytest.mark.parametrize(
    "event",
    [
        chunk({"content": 42}),
        chunk({"content": 42}).replace(b":42", b": 42"),
        chunk({"content": [{"type": "text", "text": 42}]}),
        chunk({"refusal": {}}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": 42}}]}),
        chunk("Hi"),
        chunk({}).replace(b'"delta":{}', b'"text":42'),
    ],
)
@pytest.mark.parametrize("before", [(), (HI,)])
def test_a_piece_that_is_no_text_is_an_error(event, before):
    for data in (event, HI + event + HI):
        with pytest.raises(WireError):
            passages(*before, data, FINISH, DONE)


def test_all_choices_have_to_finish():
    first, second = chunk({"content": "a"}), chunk({"content": "b"}, index=1)
    one_ends, both_end = chunk({}, "stop"), chunk({}, "length", index=1)

    found = passages(first, second, one_ends, both_end, DONE, n=2)
    assert [each.finish_reason for each in found] == [None, None, None, "length", None]
    with pytest.raises(WireError):
        passages(first, second, one_ends, DONE, n=2)


def test_nothing_passes_after_the_end():
    reader = DIALECT.passage_reader({})
    reader.feed(HI + FINISH + DONE + HI)
    assert reader.done
    assert reader.feed(HI) == []
    assert reader.close() == []


def test_an_event_without_end_is_too_large():
    reader = DIALECT.passage_reader({})
    half = b"data: " + b"x" * (MAX_EVENT_BYTES // 2)
    reader.feed(half)
    with pytest.raises(EventTooLargeError):
        reader.feed(half)


@given(
    st.lists(st.sampled_from([HI, ROLE, FINISH, USAGE, DONE, b"\n", b"\r", b"data"]))
)
def test_any_order_of_events_passes_or_is_a_wire_error(events):
    try:
        found = passages(*events)
    except WireError:
        return
    assert passed(found).endswith(DONE)


def test_events_that_are_no_chunks_pass():
    notice = event({"notice": "warming up"})
    assert passages(notice, HI, FINISH)[0] == Passage(notice)


def test_fields_that_do_not_have_to_change_do_not():
    body = b'{"model":"a","stream":true,%b}' % HELLO
    sent = relay(body, OpenAIChat(stream_usage=False))
    assert sent == b'{"model":"theirs","stream":true,%b}' % HELLO

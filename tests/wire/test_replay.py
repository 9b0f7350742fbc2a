import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.types import ChatResponse, Text, Thinking, Usage
from llm_proxy.wire import (
    AnthropicSurface,
    Asked,
    OpenAIChatSurface,
    OpenAICompletionsSurface,
    OpenAIResponsesSurface,
    scatter,
)
from llm_proxy.wire.replay import replay, replay_events

FIRST = Asked("1" * 24, 1_700_000_000, "m", {})
AGAIN = Asked("2" * 24, 1_800_000_000, "m", {})
SURFACES = {
    surface.name: surface
    for surface in (
        OpenAIChatSurface(),
        OpenAICompletionsSurface(),
        AnthropicSurface(),
        OpenAIResponsesSurface(),
    )
}

every_surface = pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)

# What could be taken for an id, a time, or the end of a text.
TRICKY = st.sampled_from(
    [
        f"chatcmpl-{FIRST.id}",
        f'"id":"chatcmpl-{FIRST.id}"',
        f'"id":"msg_{FIRST.id}","created":{FIRST.created}',
        f'{{"item_id":"msg_{FIRST.id}0"}}',
        'data: {"id":"x"}\n\n',
        '"}],"id":"',
        "\\",
        "\u2028",
    ]
)
TEXTS = st.lists(TRICKY | canonical.TEXTS, min_size=1, max_size=4).map("".join)
RESPONSES = st.builds(
    ChatResponse,
    st.lists(TEXTS.map(Text), min_size=1, max_size=1).map(tuple),
    st.just("m-1"),
    st.sampled_from(["stop", "length"]),
    st.just(Usage(3, 4, source="provider")),
)


def written(surface, response, asked):
    encoder = surface.stream_encoder(asked)
    return encoder.feed(scatter(response)) + encoder.close()


@every_surface
@given(response=RESPONSES)
def test_a_replayed_answer_is_the_one_that_would_be_written_for_the_request(
    surface, response
):
    first = surface.encode_response(response, FIRST)

    assert replay(surface.name, first, AGAIN) == surface.encode_response(
        response, AGAIN
    )


@every_surface
@given(response=RESPONSES)
def test_replayed_events_are_those_that_would_be_written_for_the_request(
    surface, response
):
    first = written(surface, response, FIRST)

    assert replay_events(surface.name, first, AGAIN) == written(
        surface, response, AGAIN
    )


def spaced(value) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


# Nothing below is an id of the answer, whatever it is called.
OTHERS = st.dictionaries(
    st.sampled_from(["choices", "usage", "x", 'a"b', "message", "output", "metadata"]),
    st.recursive(
        st.none() | st.integers() | TEXTS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "created", "item_id", "text"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(others=OTHERS, at=st.integers(0, 4))
def test_only_the_members_of_the_answer_itself_change(others, at):
    members = list(others.items())
    own = [("id", "gen-1"), ("created", 1.5)]
    body = spaced(dict([*members[:at], *own, *members[at:]]))
    changed = [("id", f"chatcmpl-{AGAIN.id}"), ("created", AGAIN.created)]

    assert replay("openai_chat", body, AGAIN) == spaced(
        dict([*members[:at], *changed, *members[at:]])
    )


@pytest.mark.parametrize(
    ("surface", "body", "after"),
    [
        pytest.param("openai_chat", b"{}", b"{}", id="nothing is added"),
        pytest.param(
            "openai_chat",
            b'{"i\\u0064":"a\\/b", "created" : 1}',
            b'{"i\\u0064":"chatcmpl-%b", "created" : %d}',
            id="escapes",
        ),
        pytest.param(
            "openai_completions",
            b'{"created":1,"id":"cmpl-1"}',
            b'{"created":%d,"id":"cmpl-%b"}',
            id="older completions",
        ),
        pytest.param(
            "anthropic_messages",
            b'{"content":[{"id":"msg_1"}],"id":"msg_1","created":1}',
            b'{"content":[{"id":"msg_1"}],"id":"msg_%b","created":1}',
            id="messages",
        ),
        pytest.param(
            "openai_responses",
            b'{"output":[{"type":"reasoning","id":"rs_1"},'
            b'{"id":"msg_1","type":"message","content":[{"id":"msg_1"}]}],'
            b'"created_at":1.0,"completed_at":null,"id":"resp_1"}',
            b'{"output":[{"type":"reasoning","id":"rs_1"},'
            b'{"id":"msg_%b0","type":"message","content":[{"id":"msg_1"}]}],'
            b'"created_at":%d,"completed_at":null,"id":"resp_%b"}',
            id="responses",
        ),
    ],
)
def test_answers_of_upstreams(surface, body, after):
    values = {b"%b": AGAIN.id.encode(), b"%d": str(AGAIN.created).encode()}
    for mark, value in values.items():
        after = after.replace(mark, value)

    assert replay(surface, body, AGAIN) == after


def responses_stream(response: str, one: str, two: str, at: int) -> bytes:
    thoughts = {"type": "reasoning", "id": "rs_1"}
    messages = [{"type": "message", "id": one}, {"type": "message", "id": two}]
    end = {"id": response, "completed_at": at, "output": [thoughts, *messages]}
    events = [
        {"response": {"id": response, "completed_at": None, "output": []}},
        {"item": thoughts},
        {"item": messages[0]},
        {"sequence_number": 7, "item_id": "rs_1", "delta": "msg_1"},
        {"item_id": one, "delta": "msg_1"},
        {"item": messages[1]},
        {"item": messages[0]},
        {"sequence_number": 8, "item_id": two, "part": {"id": "msg_1"}},
        {"response": end, "type": "response.completed"},
    ]
    return b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events)


def test_every_message_of_a_response_has_one_new_id_throughout_the_stream():
    stream = responses_stream("resp_1", "msg_1", "msg_2", 9)

    assert replay_events("openai_responses", stream, AGAIN) == responses_stream(
        f"resp_{AGAIN.id}", f"msg_{AGAIN.id}0", f"msg_{AGAIN.id}1", AGAIN.created
    )


@pytest.mark.parametrize(
    ("events", "after"),
    [
        (b'data:{"id":"1"}\r\n\r\n', b'data:{"id":"chatcmpl-?"}\r\n\r\n'),
        (b'id: 1\n: {"id":"1"\ndata: {"id":"1"}\n\n', None),
        (b'event: {\ndata: {"id":"1"}', None),
        (b'data: {"id":"1"}\n\ndata: [DONE]\n\n', None),
    ],
)
def test_only_data_is_read(events, after):
    new = f'"id":"chatcmpl-{AGAIN.id}"'.encode()
    if after is None:
        head, _, tail = events.rpartition(b'"id":"1"')
        after = head + new + tail
    else:
        after = after.replace(b"?", AGAIN.id.encode())

    assert replay_events("openai_chat", events, AGAIN) == after


@pytest.mark.parametrize(
    "events",
    [
        b'data: {"id":\ndata: "1"}\n\n',
        b'data: {"x":{\ndata: "id":"1"}}\n\n',
        b'data: {"\\x":1,"id":"1"}\n\n',
        b'data: {"item": {"id":"msg_1"\n\n',
        b'data: ["item", {"id":"1"}]\n\n',
        b'data: {"item":[],"response":[]}\n\n',
        b"data: }]]{\n\n",
        b"",
    ],
)
@every_surface
def test_what_cannot_be_read_is_sent_as_it_is(surface, events):
    assert replay_events(surface.name, events, AGAIN) == events


@given(events=st.binary() | st.text(TRICKY.flatmap(st.sampled_from)).map(str.encode))
@every_surface
def test_no_bytes_are_an_error(surface, events):
    replay_events(surface.name, b"data: " + events, AGAIN)


CHUNKS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["a", "ab", None]),
            "created": st.sampled_from([1, 17, 1.5]),
            "x": st.sampled_from([1, "id", {"id": "a"}]),
        },
    ).flatmap(lambda chunk: st.permutations([*chunk.items()]).map(dict)),
    max_size=6,
)


@given(chunks=CHUNKS)
def test_no_event_is_taken_for_one_before_it(chunks):
    events = [b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks]
    alone = [replay_events("openai_chat", event, AGAIN) for event in events]

    assert replay_events("openai_chat", b"".join(events), AGAIN) == b"".join(alone)


def test_thoughts_keep_the_ids_under_which_a_vendor_takes_them_back():
    surface = SURFACES["openai_responses"]
    parts = (Thinking("t", "openai:sealed"), Text("a"))
    response = ChatResponse(parts, "m", "stop", Usage())

    first = orjson.loads(surface.encode_response(response, FIRST))
    again = orjson.loads(replay(surface.name, orjson.dumps(first), AGAIN))

    assert again["output"][0] == first["output"][0]
    assert again["output"][1]["id"] != first["output"][1]["id"]

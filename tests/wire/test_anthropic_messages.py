import json

import pytest

from llm_proxy.types import ChatRequest, Chunk, Message, Usage
from llm_proxy.wire import AnthropicMessages, UpstreamFaultError, WireError

DIALECT = AnthropicMessages()
HELLO = ChatRequest(messages=(Message("user", "Hello"),))
START = {
    "type": "message_start",
    "message": {"model": "claude-x", "usage": {"input_tokens": 5, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def delta(text):
    piece = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "delta": piece}


def ending(reason="end_turn", **usage):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 9, **usage},
    }


def decode(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def stream(*events):
    decoder = DIALECT.stream_decoder()
    chunks = []
    for event in events:
        data = f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n"
        chunks += decoder.feed(data.encode())
    decoder.close()
    return chunks


def test_a_bare_prompt_is_model_max_tokens_and_messages():
    assert json.loads(DIALECT.encode_request("claude-x", HELLO, False)) == {
        "model": "claude-x",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_every_option_has_its_field():
    request = ChatRequest(HELLO.messages, system="s", max_tokens=5, temperature=1.5)
    assert json.loads(DIALECT.encode_request("m", request, True)) == {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hello"}],
        "system": "s",
        "temperature": 1.0,
        "stream": True,
    }


def test_the_text_blocks_are_the_text():
    response = decode(
        {
            "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b"},
            ],
            "stop_reason": "max_tokens",
            "usage": {
                "input_tokens": 5,
                "output_tokens": 7,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2,
            },
        }
    )
    assert (response.text, response.finish_reason) == ("ab", "length")
    assert response.usage == Usage(10, 7, 3, 0, "provider")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("refusal", "refusal"),
        ("tool_use", "tool_calls"),
        ("something-new", "stop"),
        (None, "stop"),
    ],
)
def test_stop_reasons_are_read(theirs, ours):
    assert decode({"content": [], "stop_reason": theirs}).finish_reason == ours


@pytest.mark.parametrize(
    "usage",
    [{"input_tokens": -5}, {"output_tokens": 1e18}, {"input_tokens": "5"}, None],
)
def test_nonsense_is_no_usage(usage):
    assert decode({"content": [], "usage": usage}).usage == Usage()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content": "a"}'])
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.decode_response(body)


def test_an_error_inside_a_success_is_a_fault():
    with pytest.raises(UpstreamFaultError) as caught:
        decode({"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    assert caught.value.detail.status == 529


def test_a_stream_is_read_event_by_event():
    chunks = stream(
        START,
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "delta": {"thinking": "hm"}},
        delta("Hel"),
        delta("lo"),
        {"type": "content_block_stop"},
        {"type": "never_heard_of"},
        ending(),
        STOP,
    )
    assert chunks == [
        Chunk(model="claude-x"),
        Chunk("Hel"),
        Chunk("lo"),
        Chunk(finish_reason="stop", usage=Usage(5, 9, source="provider")),
    ]


def test_later_usage_replaces_earlier():
    chunks = stream(START, delta("a"), ending(input_tokens=8), STOP)
    assert chunks[-1].usage == Usage(8, 9, source="provider")


def test_an_error_event_is_a_fault():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    with pytest.raises(UpstreamFaultError):
        stream(START, error)


def test_a_stream_without_stop_reason_is_not_whole():
    with pytest.raises(WireError, match="stop reason"):
        stream(START, delta("a"), STOP)


def test_a_broken_event_is_an_error():
    decoder = DIALECT.stream_decoder()
    with pytest.raises(WireError):
        decoder.feed(b'data: {"type": \n\n')


def test_an_endless_line_is_an_error():
    decoder = DIALECT.stream_decoder()
    with pytest.raises(WireError):
        decoder.feed(b"x" * (2 << 20))


def test_nothing_is_read_after_the_end():
    decoder = DIALECT.stream_decoder()
    decoder.feed(b'data: {"type": "message_stop"}\n\ndata: {"type": "error"}\n\n')
    assert decoder.done

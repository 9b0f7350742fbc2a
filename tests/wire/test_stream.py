"""What came before a fault reaches the caller, however the network cuts the stream."""

import json

import pytest

from llm_proxy.wire import (
    AnthropicMessages,
    Gemini,
    OpenAIChat,
    OpenAIResponses,
    UpstreamFaultError,
    WireError,
)
from llm_proxy.wire.openai_events import MediaEvents


def event(**fields):
    return f"data: {json.dumps(fields)}\n\n".encode()


ERROR = event(type="error", error={"type": "server_error", "message": "Oh."})
CHAT = event(choices=[{"index": 0, "delta": {"content": "Hello"}}])
RESPONSES = event(type="response.output_text.delta", output_index=0, delta="Hello")
ANTHROPIC = event(
    type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}
)
GEMINI = event(candidates=[{"content": {"parts": [{"text": "Hello"}]}}])
IMAGE = event(type="image_generation.partial_image", b64_json="Hello")

DECODERS = {
    "chat": (OpenAIChat().stream_decoder, CHAT),
    "responses": (OpenAIResponses().stream_decoder, RESPONSES),
    "anthropic": (AnthropicMessages().stream_decoder, ANTHROPIC),
    "gemini": (Gemini().stream_decoder, GEMINI),
}
RELAYS = {
    "chat_relay": (lambda: OpenAIChat().passage_reader({}), CHAT),
    "responses_relay": (lambda: OpenAIResponses().passage_reader({}), RESPONSES),
    "anthropic_relay": (lambda: AnthropicMessages().passage_reader({}), ANTHROPIC),
    "media": (MediaEvents, IMAGE),
}
STREAMS = {**DECODERS, **RELAYS}


@pytest.fixture(params=STREAMS.values(), ids=STREAMS)
def stream(request):
    return request.param


def test_what_came_before_an_error_is_handed_out_before_it(stream):
    make, content = stream
    at_once, apart = make(), make()
    pieces = at_once.feed(content + content + ERROR + content)
    assert pieces
    assert pieces == apart.feed(content) + apart.feed(content)
    assert at_once.done
    assert at_once.feed(content) == []
    with pytest.raises(UpstreamFaultError) as caught:
        at_once.close()
    assert caught.value.detail.status == 500


def test_an_error_with_nothing_before_it_is_raised_at_once(stream):
    make, content = stream
    reader = make()
    reader.feed(content)
    with pytest.raises(UpstreamFaultError):
        reader.feed(ERROR + content)


@pytest.mark.parametrize(("make", "content"), RELAYS.values(), ids=RELAYS)
def test_what_came_before_an_error_passes_unchanged(make, content):
    passages = make().feed(content + ERROR)
    assert b"".join([passage.data for passage in passages]) == content


@pytest.mark.parametrize("make", [make for make, _ in RELAYS.values()][:3])
def test_what_came_before_an_event_that_is_not_utf8_passes(make):
    reader = make()
    passages = reader.feed(b": comment\n\ndata: \xff\n\n")
    assert [passage.data for passage in passages] == [b": comment\n\n"]
    with pytest.raises(WireError, match="UTF-8"):
        reader.close()

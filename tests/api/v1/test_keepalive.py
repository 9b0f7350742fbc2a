"""What a stream says while its upstream is silent."""

import pytest

from llm_proxy.api import event_stream

MESSAGES = [{"role": "user", "content": "Hi"}]
CALLS = {
    "/chat": {"provider": "openai", "model": "gpt-4", "prompt": "Hi"},
    "/v1/chat/completions": {"model": "openai/gpt-4", "messages": MESSAGES},
    "/v1/messages": {"model": "openai/gpt-4", "messages": MESSAGES, "max_tokens": 9},
}
PING = 'event: ping\ndata: {"type":"ping"}\n\n'


@pytest.mark.parametrize("path", CALLS)
async def test_silence_is_filled_until_the_deadline(
    client, upstream, monkeypatch, path
):
    monkeypatch.setattr(event_stream, "_KEEPALIVE_SECONDS", 0.02)
    upstream.streams("Hello", stall=True)
    words = PING if path == "/v1/messages" else ": keep-alive\n\n"
    caller = client(stream_deadline=0.2)
    answer = await caller.post(path, json=CALLS[path] | {"stream": True})

    assert answer.status_code == 200
    before, *_, last = answer.text.split(words)
    assert "Hello" in before
    assert 2 <= answer.text.count(words) <= 10
    assert "error" in last


@pytest.mark.parametrize("path", CALLS)
async def test_a_stream_that_speaks_is_left_alone(client, upstream, path):
    upstream.streams("Hello", " you")
    answer = await client().post(path, json=CALLS[path] | {"stream": True})

    assert "keep-alive" not in answer.text
    assert "ping" not in answer.text

"""What callers and upstreams may send without harm, through the whole service."""

import asyncio
import json

import httpx
import pytest

MESSAGES = [{"role": "user", "content": "Hi"}]
ANTHROPIC = {"model": "anthropic/claude-x", "max_tokens": 5, "messages": MESSAGES}
JSON = {"content-type": "application/json"}


async def test_headers_travel_byte_for_byte(client, upstream):
    headers = [
        (b"anthropic-beta", b"a\xe9,\xe2\x82\xac"),
        (b"x-api-token", b"test_token"),
    ]
    answer = await client().post("/v1/messages", json=ANTHROPIC, headers=headers)

    assert answer.status_code == 200
    sent = dict(upstream.anthropic.calls.last.request.headers.raw)
    assert sent[b"anthropic-beta"] == b"a\xe9,\xe2\x82\xac"


@pytest.mark.parametrize("levels", [230, 300, 1000])
async def test_what_is_nested_too_deeply_is_a_400(client, upstream, levels):
    deep = '{"a":' * levels + "1" + "}" * levels
    function = f'{{"name":"f","parameters":{deep}}}'
    fields = json.dumps({"model": "anthropic/claude-x", "messages": MESSAGES})
    tools = f'[{{"type":"function","function":{function}}}]'
    body = f'{fields[:-1]},"tools":{tools}}}'.encode()
    answer = await client().post("/v1/chat/completions", content=body, headers=JSON)

    assert answer.status_code == 400
    assert upstream.sent == []


@pytest.mark.parametrize("name", ["message", "type", "code", "param"])
@pytest.mark.parametrize("status", [200, 400])
async def test_the_provider_key_is_in_no_error(client, upstream, status, name):
    words = {"message": "no", "type": "invalid_request_error", "code": "c"}
    error = words | {name: "the key openai-key is odd"}
    upstream.fails(status, {"error": error | {"status": 400}})
    fields = {"model": "openai/gpt-4", "messages": MESSAGES}
    answer = await client().post("/v1/chat/completions", json=fields)

    assert answer.status_code >= 400
    assert "openai-key" not in answer.text


async def test_the_provider_key_is_in_no_error_of_a_stream(client, upstream):
    error = {"type": "invalid_request_error", "message": "the key openai-key is odd"}
    upstream.openai.side_effect = lambda _: httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        content=b"data: %b\n\n" % json.dumps({"error": error}).encode(),
    )
    fields = {"model": "openai/gpt-4", "messages": MESSAGES, "stream": True}
    answer = await client().post("/v1/chat/completions", json=fields)

    assert answer.status_code == 400
    assert "openai-key" not in answer.text


async def test_a_deleted_response_does_not_come_back(client, upstream):
    cancelled = asyncio.Event()

    async def never(_):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    upstream.anthropic.side_effect = never
    caller = client()
    fields = {"model": "anthropic/claude-x", "input": "Hi", "background": True}
    queued = (await caller.post("/v1/responses", json=fields)).json()
    await asyncio.sleep(0.05)
    path = f"/v1/responses/{queued['id']}"

    assert (await caller.delete(path)).json()["deleted"] is True
    assert cancelled.is_set()
    assert (await caller.get(path)).status_code == 404


async def test_what_is_not_stored_is_not_made_in_the_background(client, upstream):
    fields = {"model": "anthropic/claude-x", "input": "Hi"}
    fields |= {"background": True, "store": False}
    answer = await client().post("/v1/responses", json=fields)

    assert answer.status_code == 400
    assert upstream.sent == []

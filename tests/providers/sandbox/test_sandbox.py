import asyncio
import json
import re
import signal
import subprocess
import sys

import httpx
import pytest

OPENAI = "/chat/completions"
ANTHROPIC = "/messages"
BOTH = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])
KEYS = {
    OPENAI: {"authorization": "Bearer any"},
    ANTHROPIC: {"x-api-key": "any", "anthropic-version": "2023-06-01"},
}


def read_events(body: bytes) -> list[dict]:
    """The JSON of the events, with [DONE] as the word it is."""
    lines = re.findall(rb"^data: (.*)$", body, re.MULTILINE)
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


async def test_openai_answers_with_a_quote_and_exact_usage(ask):
    response = await ask(OPENAI, text="Please say something nice")
    answer = response.json()
    choice = answer["choices"][0]
    assert response.headers["content-type"] == "application/json"
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "sandbox"
    assert answer["id"].startswith("chatcmpl-")
    assert '"Please say something nice"' in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    words = len(choice["message"]["content"].split())
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (4, words)
    assert usage["total_tokens"] == 4 + words


async def test_openai_streams_role_text_finish_usage_and_done(ask):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    plain = (await ask(OPENAI)).json()
    response = await ask(OPENAI, **options)
    *chunks, usage, done = read_events(response.content)
    first, *middle, last = chunks
    assert response.headers["content-type"].startswith("text/event-stream")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in middle)
    assert text == plain["choices"][0]["message"]["content"]
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None] * (
        len(chunks) - 1
    )
    assert last["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert usage["choices"] == []
    assert usage["usage"] == plain["usage"]
    assert done == "[DONE]"


async def test_openai_streams_usage_only_on_request(ask):
    response = await ask(OPENAI, stream=True)
    *chunks, done = read_events(response.content)
    assert all("usage" not in chunk for chunk in chunks)
    assert done == "[DONE]"


async def test_anthropic_answers_with_a_quote_and_exact_usage(ask):
    response = await ask(
        ANTHROPIC, text="Please say something nice", system="Be a poet"
    )
    answer = response.json()
    [block] = answer["content"]
    assert answer["type"] == "message"
    assert answer["stop_reason"] == "end_turn"
    assert '"Please say something nice"' in block["text"]
    assert answer["usage"]["input_tokens"] == 7
    assert answer["usage"]["output_tokens"] == len(block["text"].split())


async def test_anthropic_streams_its_events_in_order(ask):
    plain = (await ask(ANTHROPIC)).json()
    response = await ask(ANTHROPIC, stream=True)
    names = re.findall(r"^event: (.*)$", response.text, re.MULTILINE)
    events = read_events(response.content)
    assert names == [event["type"] for event in events]
    deltas = [event for event in events if event["type"] == "content_block_delta"]
    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * len(deltas),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    text = "".join(delta["delta"]["text"] for delta in deltas)
    assert text == plain["content"][0]["text"]
    start, end = events[0]["message"], events[-2]
    assert start["usage"]["input_tokens"] == plain["usage"]["input_tokens"]
    assert end["usage"]["output_tokens"] == plain["usage"]["output_tokens"]
    assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_request_gives_the_same_bytes(ask, path, stream):
    first = await ask(path, stream=stream)
    second = await ask(path, stream=stream)
    other = await ask(path, stream=stream, text="Something else")
    assert first.content == second.content
    assert first.headers == second.headers
    assert first.content != other.content


@BOTH
async def test_max_tokens_cuts_the_answer(ask, path):
    answer = (await ask(path, max_tokens=2)).json()
    if path == OPENAI:
        [choice] = answer["choices"]
        assert choice["message"]["content"].split() == ["The", "sandbox"]
        assert choice["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] == 2
    else:
        assert answer["content"][0]["text"].split() == ["The", "sandbox"]
        assert answer["stop_reason"] == "max_tokens"
        assert answer["usage"]["output_tokens"] == 2


@BOTH
async def test_reads_content_in_parts(ask, path):
    parts = [{"type": "text", "text": "from"}, {"type": "text", "text": "parts"}]
    response = await ask(path, text=parts)
    assert '\\"from parts\\"' in response.text


@pytest.mark.parametrize(
    "response_format",
    [
        {
            "type": "json_schema",
            "json_schema": {
                "name": "mood",
                "schema": {
                    "type": "object",
                    "properties": {"mood": {"enum": ["good", "bad"]}},
                    "required": ["mood"],
                },
            },
        },
        {"type": "json_object"},
    ],
)
async def test_response_format_gives_json(ask, response_format):
    text = "A bad mood as JSON"
    answer = await ask(OPENAI, text=text, response_format=response_format)
    value = json.loads(answer.json()["choices"][0]["message"]["content"])
    assert value in ({"mood": "bad"}, {"answer": text})


async def test_lists_models_in_both_forms(client):
    openai = await client.get("/models", headers=KEYS[OPENAI])
    anthropic = await client.get("/models", headers=KEYS[ANTHROPIC])
    nobody = await client.get("/models")
    names = [model["id"] for model in openai.json()["data"]]
    assert names[0] == "sandbox"
    assert "fault-429-retry-after-1" in names
    assert [model["id"] for model in anthropic.json()["data"]] == names
    assert anthropic.json()["last_id"] == names[-1]
    assert nobody.status_code == 401


async def test_records_what_it_received(sandbox, client, build):
    sent = build(ANTHROPIC)
    sent.url = sent.url.copy_with(query=b"beta=true")
    await client.send(sent)
    await client.get("/nowhere")
    first, second = sandbox.app.state.requests
    assert (first.method, first.path) == ("POST", "/v1/messages?beta=true")
    assert first.headers["x-api-key"] == "any"
    assert first.body == sent.content
    assert (second.method, second.path) == ("GET", "/v1/nowhere")


async def test_shows_and_forgets_its_record(client):
    record = client.base_url.copy_with(path="/_sandbox/requests")
    assert (await client.get("/nowhere")).status_code == 404
    [shown] = (await client.get(record)).json()
    assert shown["path"] == "/v1/nowhere"
    assert shown["body"] == ""
    assert (await client.delete(record)).status_code == 204
    assert (await client.get(record)).json() == []


async def test_keeps_the_last_256_requests(sandbox, client):
    for number in range(257):
        await client.get(f"/{number}")
    paths = [request.path for request in sandbox.app.state.requests]
    assert paths == [f"/v1/{number}" for number in range(1, 257)]


@BOTH
@pytest.mark.parametrize("model", ["fault-hang", "fault-stalled"])
async def test_counts_clients_that_leave(client, ask, path, model):
    stats = client.base_url.copy_with(path="/_sandbox/stats")

    async def until(**expected):
        async with asyncio.timeout(5):
            while (await client.get(stats)).json() != expected:
                pass

    request = asyncio.create_task(ask(path, model))
    await until(requests=1, open=1, aborted=0)
    request.cancel()
    await until(requests=1, open=0, aborted=1)
    await ask(path)
    await until(requests=2, open=0, aborted=1)


async def test_logs_nothing(ask, caplog):
    caplog.set_level("DEBUG")
    await ask(OPENAI)
    for model in ("fault-cut", "fault-no-response"):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(OPENAI, model)
    ours = [r for r in caplog.records if r.name.split(".")[0] == "uvicorn"]
    assert ours == []


@pytest.mark.integration
def test_runs_alone():
    command = [sys.executable, "-m", "llm_proxy.providers.sandbox", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = next(
            match[0]
            for line in process.stderr
            if (match := re.search(r"http://[0-9.:]+", line))
        )
        models = httpx.get(f"{address}/v1/models", headers=KEYS[OPENAI])
        assert models.json()["data"][0]["id"] == "sandbox"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

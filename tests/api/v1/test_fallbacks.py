"""An alias whose first deployment fails is answered by the next, in any dialect."""

import json

import pytest

MESSAGES = [{"role": "user", "content": "Hi"}]
CONFIG = """
models:
  smart:
    deployments: [{model: openai/gpt-4}]
    fallbacks: [anthropic/claude-sonnet-4-5]
    retries: 0
"""


@pytest.fixture
def caller(client, upstream, tmp_path):
    path = tmp_path / "llm-proxy.yaml"
    path.write_text(CONFIG)
    upstream.openai.respond(503)
    return client(config_file=path)


async def test_bytes_for_the_first_are_translated_for_the_next(caller, upstream):
    fields = {"model": "smart", "messages": MESSAGES, "temperature": 0.5}
    answer = await caller.post("/v1/chat/completions", json=fields)

    assert answer.json()["model"] == "claude-sonnet-4-5-20250929"
    assert answer.json()["choices"][0]["message"]["content"].startswith("Why did")
    asked_first, asked_next = upstream.sent
    assert asked_first == fields | {"model": "gpt-4"}
    assert asked_next["model"] == "claude-sonnet-4-5"
    assert asked_next["messages"] == MESSAGES


async def test_an_answer_that_cannot_be_streamed_is_one(caller):
    fields = {"model": "smart", "messages": MESSAGES, "max_tokens": 9, "stream": True}
    answer = await caller.post("/v1/messages", json=fields)

    events = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events[0] == "event: message_start"
    assert events[-1] == "event: message_stop"
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(data[0])["message"]["model"] == "claude-sonnet-4-5-20250929"


async def test_who_cannot_do_it_is_passed_over(client, upstream, tmp_path):
    path = tmp_path / "llm-proxy.yaml"
    path.write_text(
        "models: {smart: {deployments: [{model: anthropic/claude-sonnet-4-5}],"
        " fallbacks: [openai/gpt-4]}}"
    )
    fields = {"model": "smart", "messages": MESSAGES, "n": 2}
    answer = await client(config_file=path).post("/v1/chat/completions", json=fields)

    assert answer.status_code == 200
    assert upstream.sent == [fields | {"model": "gpt-4"}]


async def test_the_failure_of_one_who_can_is_told(caller):
    fields = {"model": "smart", "messages": MESSAGES, "n": 2}
    answer = await caller.post("/v1/chat/completions", json=fields)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "llm_unavailable"

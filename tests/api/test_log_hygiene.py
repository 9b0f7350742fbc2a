"""Nothing that is confidential is in any line, whatever happens."""

import json

import httpx
import pytest

CHAT = {"provider": "openai", "model": "gpt-4", "prompt": "PROMPT-MARKER"}
JSON = {"content-type": "application/json"}
TOKEN = "TOKEN-MARKER"
KEY = "KEY-MARKER"
SAID = {
    "custom": "ANSWER-MARKER",
    "summary": "ANSWER-MARKER",
    "translation": "ANSWER-MARKER",
    "keywords": '{"keywords": ["ANSWER-MARKER"]}',
    "sentiment": "I would rather not judge ANSWER-MARKER.",
    "entities": '{"entities": [{"text": "ANSWER-MARKER", "kind": "person"}]}',
}
ECHO = {
    "error": {
        "message": "Incorrect API key KEY-MARKER for PROMPT-MARKER",
        "type": "invalid_request_error",
    }
}


async def succeed(caller, upstream):
    upstream.says("ANSWER-MARKER")
    for provider in ("openai", "anthropic"):
        await caller.chat("PROMPT-MARKER", system="PROMPT-MARKER", provider=provider)
    await caller.post(f"/chat?api_token={TOKEN}", json=CHAT, headers={"x-api-key": ""})
    for type, text in SAID.items():
        upstream.says(text)
        await caller.webhook("PROMPT-MARKER", type=type, language="en")
    await caller.chat("PROMPT-MARKER@example.com, forget everything")


async def be_refused(caller, upstream):
    await caller.post("/chat", content='{"PROMPT-MARKER', headers=JSON)
    await caller.post("/chat", content="PROMPT-MARKER", headers={})
    await caller.post("/chat", content="PROMPT-MARKER" * 100_000, headers=JSON)
    await caller.post("/chat", json={"PROMPT-MARKER": 1, "prompt": ["PROMPT-MARKER"]})
    await caller.chat("PROMPT-MARKER" * 1000)
    await caller.chat(provider="nope", prompt="PROMPT-MARKER")
    for header in ("x-api-token", "x-api-key"):
        await caller.post("/chat", json=CHAT, headers={header: f"{TOKEN}-wrong"})
    await caller.get(f"/nope?api_token={TOKEN}")
    await caller.get(
        "/health", headers={"x-request-id": f"/{TOKEN}", "authorization": TOKEN}
    )


async def meet_failures(caller, upstream):
    for status in (200, 302, 400, 401, 402, 404, 413, 429, 500):
        upstream.fails(status, ECHO)
        for stream in (False, True):
            await caller.chat("PROMPT-MARKER", stream=stream)
        await caller.chat("PROMPT-MARKER", provider="anthropic")
    upstream.openai.respond(200, text="ANSWER-MARKER", content_type="text/html")
    await caller.chat("PROMPT-MARKER")
    for error in (httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError):
        upstream.breaks(error("KEY-MARKER"))
        await caller.chat("PROMPT-MARKER")


async def stream(caller, upstream):
    for end in (None, httpx.ReadError("ANSWER-MARKER"), httpx.ReadTimeout("")):
        upstream.streams("ANSWER", "-MARKER", "ANSWER-MARKER", end=end)
        await caller.chat("PROMPT-MARKER", stream=True)


async def meet_a_defect(caller, upstream):
    upstream.breaks(RuntimeError("what we did not expect"))
    for is_stream in (False, True):
        await caller.chat("PROMPT-MARKER", stream=is_stream)
    await caller.webhook("PROMPT-MARKER")


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize(
    "happen", [succeed, be_refused, meet_failures, stream, meet_a_defect]
)
async def test_no_line_holds_a_prompt_an_answer_or_a_key(
    build, client, upstream, capsys, happen, format
):
    app = build(
        api_token=f"excel:{TOKEN}",
        openai_api_key=KEY,
        anthropic_api_key=KEY,
        log_format=format,
        log_level="debug",
        environment="development",
        rate_limit_enabled=False,
    )
    async with app.router.lifespan_context(app):
        await happen(client(app, headers={"x-api-token": TOKEN}), upstream)
    log = capsys.readouterr()
    lines = log.out.splitlines()
    assert len(lines) > 5
    assert [line for line in lines if "MARKER" in line] == []
    assert log.err == ""
    if format == "json":
        assert all(json.loads(line)["message"] for line in lines)

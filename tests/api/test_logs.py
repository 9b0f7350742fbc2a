import asyncio
import json
import re
from datetime import datetime, timedelta

import httpx
import pytest

FIELDS = {"timestamp", "level", "message", "requestId", "service", "environment"}
TEXT_LINE = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[(INFO|WARN|ERROR)\]"
    r" \[[\w.]+\] \[[\w.-]+\] - "
)


async def a_bit_of_everything(caller, upstream):
    await caller.chat()
    await caller.webhook("anna@example.com")
    await caller.chat("")
    await caller.get("/nope")
    await caller.post("/chat", headers={"x-api-token": "wrong"})
    upstream.fails(500)
    await caller.chat()
    upstream.breaks(RuntimeError())
    await caller.chat()


async def test_every_line_has_the_fields_that_all_lines_have(
    build, client, upstream, logs
):
    app = build()
    async with app.router.lifespan_context(app):
        await a_bit_of_everything(client(app), upstream)
    lines = logs()
    assert len(lines) > 15
    for line in lines:
        assert line.keys() >= FIELDS
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
        assert line["level"] in ("info", "warn", "error")
        assert line["service"] == "llm-proxy"
        assert line["environment"] == "testing"
    assert {line["level"] for line in lines} == {"info", "warn", "error"}


async def test_the_name_of_the_service_is_a_setting(client, logs):
    await client(service_name="proxy-eu").get("/nope")
    assert [line["service"] for line in logs()] == ["proxy-eu"]


async def test_development_reads_text(client, upstream, capsys):
    await a_bit_of_everything(client(environment="development"), upstream)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if TEXT_LINE.match(line)]) > 10
    # The others are a traceback.
    assert all(TEXT_LINE.match(line) or line.startswith("    ") for line in lines)


async def test_one_line_tells_of_each_request(client, logs):
    answer = await client(address="192.0.2.1").post("/chat?x=1", json={})
    [line] = logs()
    assert line.pop("latency_ms") >= 0
    assert {name: line[name] for name in line.keys() - FIELDS} == {
        "module": "llm_proxy.api.edge",
        "method": "POST",
        "route": "/chat",
        "path": None,
        "status": 400,
        "code": "VALIDATION_ERROR",
        "client_ip": "192.0.2.1",
        "userId": "default",
    }
    assert (line["message"], line["level"]) == ("request", "warn")
    assert line["requestId"] == answer.headers["x-request-id"]


async def test_a_request_that_leads_nowhere_shows_where_it_went(client, logs):
    await client().get("/nope?api_token=MARKER")
    [line] = logs()
    assert (line["route"], line["path"]) == ("unmatched", "/nope")
    assert "MARKER" not in json.dumps(line)


async def test_one_line_tells_of_each_call(client, upstream, logs):
    upstream.streams("Hello", "there")
    await client().chat(stream=True)
    [line] = logs("llm_call")
    assert line["level"] == "info"
    assert line.pop("latency_ms") >= line.pop("first_token_ms") >= 0
    assert {name: line[name] for name in line.keys() - FIELDS} == {
        "module": "llm_proxy.call_log",
        "success": True,
        "project": "llm-proxy",
        "feature": "chat",
        "userId": "default",
        "provider": "openai",
        "model": "gpt-4",
        "response_model": "gpt-4-0613",
        "input_tokens": 11,
        "output_tokens": 7,
        "tokens_used": 18,
        "usage_source": "provider",
        # Nobody keeps accounts here.
        "cost": None,
        "cost_source": None,
        "finish_reason": "stop",
        "attempts": 1,
    }


async def test_a_failure_can_be_followed_by_its_request_id(client, upstream, logs):
    upstream.fails(500, {"error": {"type": "server_error"}})
    answer = await client().chat()
    lines = logs()
    assert {line["requestId"] for line in lines} == {answer.headers["x-request-id"]}
    assert [(line["message"], line["level"]) for line in lines] == [
        ("llm_attempt_failed", "warn"),
        ("llm_call", "warn"),
        ("LLM_UNAVAILABLE", "error"),
        ("request", "warn"),
    ]
    attempt, call, error, _ = lines
    assert attempt["code"] == call["code"] == "LLM_UNAVAILABLE"
    assert error["detail"] == "status=500 code=server_error"
    assert error["status"] == 502
    assert "exception" not in error


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (lambda upstream: upstream.fails(401), "LLM_CREDENTIALS_REJECTED"),
        (
            lambda upstream: upstream.fails(
                429, {"error": {"code": "insufficient_quota"}}
            ),
            "LLM_QUOTA_EXHAUSTED",
        ),
        (lambda upstream: upstream.breaks(httpx.ReadTimeout("")), "LLM_TIMEOUT"),
        (lambda upstream: upstream.fails(200), "LLM_BAD_RESPONSE"),
    ],
)
async def test_operators_can_tell_failures_apart(client, upstream, logs, fail, code):
    fail(upstream)
    await client().chat()
    [line] = logs("llm_call")
    assert line["code"] == code


async def test_a_missing_key_is_named_to_operators(client, logs):
    await client(anthropic_api_key=None).chat(provider="anthropic")
    [line] = logs("PROVIDER_NOT_CONFIGURED")
    assert line["detail"] == "ANTHROPIC_API_KEY is not set"


async def test_requests_at_the_same_time_keep_their_ids_apart(client, upstream, logs):
    together = asyncio.Barrier(5)

    async def answer(request):
        await together.wait()
        return httpx.Response(500)

    upstream.openai.side_effect = answer
    caller = client()
    await asyncio.gather(*(caller.chat() for _ in range(5)))
    lines = logs()
    ids = {line["requestId"] for line in lines}
    assert len(ids) == 5
    for id in ids:
        assert len([line for line in lines if line["requestId"] == id]) == 4


@pytest.mark.parametrize("path", ["/health", "/api/v1/health", "/livez", "/readyz"])
async def test_probes_are_not_worth_a_line(client, logs, path):
    await client().get(path)
    assert logs() == []


async def test_probes_that_fail_are(build, client, logs):
    app = build()
    app.state.drain.begin()
    await client(app).get("/readyz")
    assert [line["status"] for line in logs("request")] == [503]


async def test_the_start_says_what_runs_and_no_secret(build, logs):
    app = build(api_token="excel:MARKER-1,mail:MARKER-2", openai_api_key="MARKER")
    async with app.router.lifespan_context(app):
        pass
    started, stopped = logs()
    assert started["message"] == "started"
    assert started["provider"] == "openai"
    assert started["tokens"] == ["excel", "mail"]
    assert started["rate_limit"] == 60
    assert stopped["message"] == "stopped"
    assert "MARKER" not in json.dumps(started)


async def test_callers_cannot_forge_lines_of_text(client, capsys):
    caller = client(environment="development")
    await caller.get("/nope%0a[2026-01-01 00:00:00] [INFO] forged")
    [line] = capsys.readouterr().out.splitlines()
    assert r"path=/nope\n[2026" in line


async def test_prompts_are_announced_by_their_length(client, capsys):
    caller = client(environment="development", log_level="debug")
    await caller.chat("x" * 250)
    assert "Processing prompt (length: 250 chars)" in capsys.readouterr().out


async def test_debug_lines_are_for_development(client, logs):
    await client(log_level="debug").chat()
    assert {line["message"] for line in logs()} == {"llm_call", "request"}

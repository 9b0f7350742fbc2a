from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import HTTPException, Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.testclient import TestClient

from llm_proxy.api.schemas import ErrorAnswer

CHAT = {"provider": "openai", "model": "gpt-4", "prompt": "PROMPT"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Case:
    """A request that fails, with what makes it fail."""

    status: int
    code: str
    request: Mapping[str, object] = field(default_factory=lambda: {"json": CHAT})
    settings: Mapping[str, object] = field(default_factory=dict)
    upstream: int | Exception = 200


CASES = {
    "malformed": Case(400, "MALFORMED_JSON", {"content": "{PROMPT", "headers": JSON}),
    "invalid": Case(400, "VALIDATION_ERROR", {"json": {**CHAT, "stream": "PROMPT"}}),
    "no token": Case(401, "AUTHENTICATION_ERROR", {"headers": {"x-api-token": ""}}),
    "nowhere": Case(404, "NOT_FOUND", {"url": "/nope"}),
    "slash": Case(404, "NOT_FOUND", {"url": "/chat/", "json": CHAT}),
    "method": Case(405, "METHOD_NOT_ALLOWED", {"method": "GET"}),
    "large": Case(413, "PAYLOAD_TOO_LARGE", {"json": CHAT}, {"max_body_bytes": 9}),
    "no JSON": Case(415, "UNSUPPORTED_MEDIA_TYPE", {"content": "PROMPT"}),
    "often": Case(429, "RATE_LIMIT_EXCEEDED", settings={"rate_limit": 1}),
    "no key": Case(
        500,
        "PROVIDER_NOT_CONFIGURED",
        {"json": {**CHAT, "provider": "anthropic"}},
        {"anthropic_api_key": None},
    ),
    "defect": Case(500, "INTERNAL_ERROR", upstream=RuntimeError("PROMPT")),
    "upstream": Case(502, "LLM_UNAVAILABLE", upstream=500),
    "breaker": Case(
        503, "LLM_COOLING_DOWN", settings={"breaker_failures": 1}, upstream=500
    ),
    "silence": Case(504, "LLM_TIMEOUT", upstream=httpx.ReadTimeout("PROMPT")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_every_error_has_the_same_form(client, upstream, case):
    if isinstance(case.upstream, Exception):
        upstream.breaks(case.upstream)
    elif case.upstream != 200:
        upstream.fails(case.upstream, {"error": {"message": "PROMPT"}})
    caller = client(**case.settings)
    caller.headers["origin"] = "https://sheet.example"
    request = {"method": "POST", "url": "/chat"} | case.request
    # Some only fail the second time.
    for _ in range(2):
        answer = await caller.request(**request)

    assert answer.status_code == case.status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert ErrorAnswer.model_validate_json(answer.content, strict=True)
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "details", "requestId"}
    assert error["code"] == case.code
    assert error["requestId"] == answer.headers["x-request-id"]
    assert "PROMPT" not in answer.text


async def test_a_405_names_the_methods(client):
    caller = client()
    assert (await caller.get("/chat")).headers["allow"] == "POST"
    allowed = (await caller.post("/health")).headers["allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("overrides", "fields", "advice"),
    [
        ({}, {"provider": "nope"}, "false"),
        ({"anthropic_api_key": None}, {"provider": "anthropic"}, "false"),
        ({}, {}, "false"),
        ({"rate_limit": 1}, {}, None),
    ],
    ids=["invalid", "not configured", "upstream failed", "rate limit"],
)
async def test_sdks_are_told_whether_to_try_again(
    client, upstream, overrides, fields, advice
):
    upstream.fails(500)
    caller = client(**overrides)
    await caller.chat(**fields)
    answer = await caller.chat(**fields)
    assert answer.headers.get("x-should-retry") == advice


async def test_an_upstreams_advice_when_to_retry_is_passed_on(client, upstream):
    upstream.fails(429, **{"retry-after": "6.2"})
    answer = await client().chat()
    assert answer.status_code == 502
    assert answer.headers["retry-after"] == "7"


class TestDefect:
    @pytest.fixture(autouse=True)
    def defect(self, upstream):
        upstream.breaks(RuntimeError("SECRET of the defect"))

    async def test_is_not_told_to_callers(self, client):
        answer = await client().chat()
        assert answer.json()["error"]["message"] == "Something went wrong on our side"
        assert "SECRET" not in answer.text

    async def test_is_logged_once_with_its_traceback(self, client, logs):
        answer = await client().chat()
        [line] = [line for line in logs() if line["level"] == "error"]
        assert line["message"] == "unhandled_exception"
        assert line["requestId"] == answer.headers["x-request-id"]
        assert line["exception"].startswith("Traceback")
        assert "RuntimeError: SECRET of the defect" in line["exception"]


async def test_a_defect_after_the_head_cuts_the_connection(build, client, logs):
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    app = build()
    app.mount("/half", half)
    with pytest.raises(RuntimeError, match="half way"):
        await client(app).get("/half/")
    [line] = logs("unhandled_exception")
    assert "half way" in line["exception"]


def test_a_defect_outside_of_requests_is_not_hidden(build):
    async def fail():
        raise RuntimeError("cannot close")

    app = build()
    app.state.providers.aclose = fail
    with pytest.raises(RuntimeError, match="cannot close"), TestClient(app):
        pass


class TestRoutesOfOthers:
    """Routes that an extension adds in FastAPI's own ways."""

    @pytest.fixture
    def app(self, build):
        class Body(BaseModel):
            prompt: int

        app = build()

        @app.post("/validated")
        async def validated(body: Body):
            pass

        @app.get("/limited")
        @app.state.limiter.limit("1/minute")
        async def limited(request: Request):
            return Response()

        @app.get("/raising/{status}")
        async def raising(status: int):
            raise HTTPException(status, "DETAIL", {"Retry-After": "1"})

        return app

    async def test_invalid_requests_are_400_without_echo(self, app, client):
        answer = await client(app).post("/validated", json={"prompt": "PROMPT"})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_ERROR"
        assert [detail["field"] for detail in error["details"]] == ["body.prompt"]
        assert "PROMPT" not in answer.text

    async def test_slowapis_decorator_has_our_429(self, app, client):
        caller = client(app)
        assert (await caller.get("/limited")).status_code == 200
        answer = await caller.get("/limited")
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"

    @pytest.mark.parametrize(
        ("status", "told", "code"),
        [
            (401, 401, "AUTHENTICATION_ERROR"),
            (404, 404, "NOT_FOUND"),
            (422, 400, "VALIDATION_ERROR"),
            (418, 500, "INTERNAL_ERROR"),
        ],
    )
    async def test_http_exceptions_have_our_form(self, app, client, status, told, code):
        answer = await client(app).get(f"/raising/{status}")
        assert answer.status_code == told
        assert answer.json()["error"]["code"] == code
        assert "DETAIL" not in answer.text

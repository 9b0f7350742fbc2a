import json

import pytest

CHAT = {"provider": "openai", "model": "gpt-4", "prompt": "Tell me a joke"}
PAID = ["/chat", "/api/v1/chat", "/webhook", "/api/v1/webhook"]
TOKENS = "excel:token-of-excel,mail:token-of-mail"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Token": "test_token"},
        {"X-API-Key": "test_token"},
        {"Authorization": "Bearer test_token"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_a_token_is_taken_from_these_headers(client, headers):
    assert (await client(headers=headers).chat()).status_code == 200


async def test_a_token_is_taken_from_the_query(client):
    answer = await client(headers={}).post("/chat?api_token=test_token", json=CHAT)
    assert answer.status_code == 200


async def test_tokens_in_the_query_can_be_switched_off(client):
    caller = client(headers={}, allow_query_token=False)
    answer = await caller.post("/chat?api_token=test_token", json=CHAT)
    assert answer.status_code == 401


async def test_a_header_goes_before_the_query(client):
    caller = client()
    answer = await caller.post("/chat?api_token=wrong", json=CHAT)
    assert answer.status_code == 200
    caller.headers["x-api-token"] = "wrong"
    answer = await caller.post("/chat?api_token=test_token", json=CHAT)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", PAID)
@pytest.mark.parametrize(
    "headers",
    [{}, {"X-API-Token": "wrong"}, {"X-API-Token": "é"}, {"Authorization": "Basic x"}],
    ids=["no token", "wrong", "not ASCII", "other scheme"],
)
async def test_nobody_else_gets_in(client, upstream, path, headers):
    raw = {name: value.encode() for name, value in headers.items()}
    answer = await client(headers={}).post(path, json=CHAT, headers=raw)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="llm-proxy"'
    error = answer.json()["error"]
    assert error["code"] == "AUTHENTICATION_ERROR"
    assert error["message"].startswith("Authentication failed")
    assert upstream.sent == []


@pytest.mark.parametrize(
    "unread",
    [
        {"content": "{bad", "headers": {"Content-Type": "application/json"}},
        {"content": "x", "headers": {"Content-Type": "text/plain"}},
        {"content": b"x" * 2_000_000},
        {},
    ],
    ids=["bad JSON", "wrong type", "too large", "empty"],
)
async def test_authentication_comes_before_the_body(client, unread):
    answer = await client(headers={}).post("/chat", **unread)
    assert answer.status_code == 401


async def test_every_named_token_is_valid_and_tells_who_calls(client, logs):
    caller = client(api_token=TOKENS)
    for token in ("token-of-excel", "token-of-mail"):
        caller.headers["x-api-token"] = token
        assert (await caller.chat()).status_code == 200
    assert [line["userId"] for line in logs("request")] == ["excel", "mail"]


async def test_two_different_credentials_are_refused_and_counted(client):
    caller = client(auth_failure_limit=2)
    both = {"x-api-key": "wrong"}
    for _ in range(2):
        answer = await caller.post("/chat", json=CHAT, headers=both)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    answer = await caller.post("/chat", json=CHAT, headers=both)
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("headers", "reason"),
    [({}, "missing"), ({"x-api-token": "MARKER"}, "unknown")],
)
async def test_failures_are_logged_without_the_token(client, logs, headers, reason):
    caller = client(address="192.0.2.1", headers=headers)
    answer = await caller.post("/chat?x=1", json=CHAT)
    lines = logs()
    [line] = [line for line in lines if line["message"] == "auth_failed"]
    assert line["level"] == "warn"
    assert line["client_ip"] == "192.0.2.1"
    assert line["path"] == "/chat"
    assert line["reason"] == reason
    assert line["requestId"] == answer.headers["x-request-id"]
    assert "MARKER" not in json.dumps(lines)


class TestGuessing:
    LIMIT = 3

    @pytest.fixture
    async def app(self, build, client):
        app = build(auth_failure_limit=self.LIMIT)
        guesser = client(app, headers={"x-api-token": "wrong"})
        for _ in range(self.LIMIT):
            assert (await guesser.chat()).status_code == 401
        return app

    @pytest.mark.parametrize("headers", [{}, {"x-api-token": "another"}])
    async def test_ends_with_a_429(self, app, client, headers):
        answer = await client(app, headers=headers).chat()
        assert answer.status_code == 429
        error = answer.json()["error"]
        assert error["code"] == "TOO_MANY_FAILED_ATTEMPTS"
        assert "Rate limit exceeded" in error["message"]
        assert 1 <= int(answer.headers["retry-after"]) <= 60

    async def test_does_not_lock_out_who_has_a_token(self, app, client):
        assert (await client(app).chat()).status_code == 200

    async def test_concerns_no_other_address(self, app, client):
        guesser = client(app, address="192.0.2.1", headers={})
        assert (await guesser.chat()).status_code == 401

    async def test_concerns_no_open_route(self, app, client):
        assert (await client(app, headers={}).get("/health")).status_code == 200


async def test_success_is_no_guess(client):
    caller = client(auth_failure_limit=1)
    for _ in range(3):
        assert (await caller.chat()).status_code == 200


async def test_guessing_is_limited_where_nothing_else_is(client):
    guesser = client(rate_limit_enabled=False, auth_failure_limit=1, headers={})
    statuses = [(await guesser.chat()).status_code for _ in range(2)]
    assert statuses == [401, 429]

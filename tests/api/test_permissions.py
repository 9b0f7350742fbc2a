"""Who gets past the door of which route, and that there is no way around it."""

import http.client
from urllib.parse import urlsplit

import httpx2
import pytest

from llm_proxy.api.route_table import ROUTES
from llm_proxy.api.v1.routes import v1_routes
from llm_proxy.types import ROLES

# Every address: its method, its path, and the scope that it takes.
DOORS = [
    (each.method, path, each.access.scope) for each in ROUTES for path in each.paths
]
DOORS += [(each.method, each.path, each.access.scope) for each in v1_routes()]
# For probes; metrics only outside of staging and production.
OPEN = {"/health", "/api/v1/health", "/livez", "/readyz", "/metrics"}


async def answers(caller) -> dict[tuple[str, str], tuple[int, str | None]]:
    """Knocks at every door and says nothing: the status, and the scope it takes."""
    found = {}
    for method, path, scope in DOORS:
        for part in ("{id}", "{response_id}", "{model_id:path}"):
            path = path.replace(part, "nothing")
        content = None if method == "GET" else b""
        answer = await caller.request(method, path, content=content)
        found[method, path] = answer.status_code, None if path in OPEN else scope
    return found


def test_every_route_says_who_may_use_it():
    known = set().union(*ROLES.values())
    assert {path for _, path, scope in DOORS if scope not in known} == OPEN - {
        "/metrics"
    }


async def test_without_a_token_nothing_is_open(managed, client):
    stranger = client(managed.app, headers={}, auth_failure_limit=10_000)
    for door, (status, scope) in (await answers(stranger)).items():
        assert (status in (401, 429)) == (scope is not None), door


@pytest.mark.parametrize("role", ROLES)
async def test_a_key_opens_what_its_role_says(managed, make_key, caller, role):
    key = await make_key(role=role)
    for door, (status, scope) in (await answers(caller(key))).items():
        is_open = scope is None or scope in ROLES[role]
        assert status != 401, door
        assert (status != 403) == is_open, door


async def test_scopes_narrow_a_role(make_key, caller):
    key = await make_key(role="admin", scopes=["usage:read"])
    for door, (status, scope) in (await answers(caller(key))).items():
        assert (status != 403) == (scope in (None, "usage:read")), door


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("/chat", lambda answer: answer["error"]["code"]),
        ("/v1/chat/completions", lambda answer: answer["error"]["code"]),
        ("/v1/messages", lambda answer: answer["error"]["type"]),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_surface(
    make_key, caller, logs, path, of
):
    key = await make_key(role="viewer")
    answer = await caller(key).post(path, json={})
    assert answer.status_code == 403
    assert of(answer.json()) in ("FORBIDDEN", "forbidden", "permission_error")
    assert answer.headers["x-should-retry"] == "false"
    [line] = logs("access_denied")
    assert (line["reason"], line["scope"]) == ("scope", "models:call")
    assert key["secret"] not in str(line)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_other_methods_lead_nowhere(make_key, caller, upstream, method):
    key = await make_key(role="viewer")
    for path in ("/chat", "/v1/chat/completions", "/v1/v1/messages"):
        answer = await caller(key).request(method, path, content=b"{}")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    assert upstream.sent == []


async def test_a_head_is_let_in_as_its_get(make_key, caller):
    viewer = caller(await make_key(role="viewer"))
    assert (await viewer.head("/api/v1/keys")).status_code == 403
    assert (await viewer.head("/api/v1/models")).status_code == 200


PREFLIGHT = {
    "origin": "https://app.test",
    "access-control-request-method": "POST",
    "access-control-request-headers": "x-api-token",
}


async def test_a_preflight_does_nothing(managed, client, upstream):
    browser = client(managed.app, headers=PREFLIGHT)
    answer = await browser.options("/chat")
    assert (answer.status_code, answer.content) == (200, b"OK")
    assert upstream.sent == []


QUESTION = (
    b'{"provider": "sandbox", "model": "sandbox", "prompt": "Hi", "messages": []}'
)
TARGETS = [
    "/chat",
    "//chat",
    "/./chat",
    "/%2e/chat",
    "/health/../chat",
    "/health/%2e%2e/chat",
    "/health/..;/chat",
    "/chat/",
    "/chat;/health",
    "/chat%00",
    "/chat%3fx=/health",
    "/chat#/health",
    "/%63hat",
    "/CHAT",
    "/chat?/health",
    "\\chat",
    "http://proxy.test/chat",
    "http://proxy.test/health/../chat",
    "//health/chat",
    "/v1/models/../chat/completions",
    "/v1/models/%2e%2e/chat/completions",
    "/v1/models%2f..%2fchat%2fcompletions",
    "/api/v1/health/../keys",
    "/api/v1/%6beys",
    "/docs/static/..%2f..%2f..%2fmain.py",
    "/docs/static/%2e%2e/%2e%2e/main.py",
]
HEADERS = [
    {"X-Original-URL": "/health"},
    {"X-Rewrite-URL": "/health"},
    {"X-Forwarded-Prefix": "/health"},
    {"X-Forwarded-Path": "/health"},
    {"X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"},
    {"X-HTTP-Method-Override": "GET"},
    {"Host": "127.0.0.1/health?"},
    {"Host": "proxy.test#"},
    {"X-Forwarded-User": "default", "X-Remote-User": "default"},
]


@pytest.fixture(scope="module")
def service(start):
    return start(
        "llm_proxy",
        "serve",
        API_TOKEN="test_token",
        AUTH_FAILURE_LIMIT="100000",
        ENVIRONMENT="testing",
        LLM_PROVIDER="sandbox",
        PORT="0",
        RATE_LIMIT_ENABLED="false",
    )


@pytest.fixture(scope="module")
def credentials(service):
    root = {"x-api-token": "test_token"}
    with httpx2.Client(base_url=service.url, headers=root) as client:
        body = {"name": "viewer", "role": "viewer"}
        made = client.post("/api/v1/keys", json=body).json()["data"]
    return [{}, {"x-api-key": made["secret"]}]


@pytest.fixture
def ask(service):
    """Sends a request just as it is written; its status, and its body."""

    def ask(target, headers, method="POST"):
        connection = http.client.HTTPConnection(
            urlsplit(service.url).netloc, timeout=10
        )
        connection.putrequest(method, target, skip_host="Host" in headers)
        given = {"content-type": "application/json", **headers}
        for name, value in given.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(QUESTION)))
        connection.endheaders(QUESTION)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    return ask


@pytest.mark.integration
@pytest.mark.parametrize("target", TARGETS)
def test_no_way_of_writing_an_address_is_one(ask, credentials, target):
    for credential in credentials:
        status, body = ask(target, credential)
        assert status in (400, 401, 403, 404, 405), body
        assert b"sandbox read" not in body


@pytest.mark.integration
@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_no_header_is_one(ask, credentials, headers):
    for credential in credentials:
        assert ask("/chat", credential | headers)[0] in (400, 401, 403)
        status, _ = ask("/api/v1/keys", credential | headers, "GET")
        assert status in (400, 401, 403)


@pytest.mark.integration
def test_the_same_opens_it_for_who_may(ask):
    status, body = ask("/chat", {"x-api-token": "test_token"})
    assert (status, b"sandbox read" in body) == (200, True)

import asyncio
import time

import pytest

PATHS = ["/chat", "/api/v1/chat", "/webhook", "/api/v1/webhook", "/api/v1/models"]
HEADERS = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]


async def statuses(calls):
    return [(await call).status_code for call in calls]


async def test_sixty_requests_a_minute_are_usual(client):
    caller = client()
    answers = await statuses(caller.chat() for _ in range(61))
    assert answers == [200] * 60 + [429]


async def test_a_429_says_when_to_come_back(client):
    caller = client(rate_limit=1)
    await caller.chat()
    answer = await caller.chat()
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert error["code"] == "RATE_LIMIT_EXCEEDED"
    assert "Rate limit exceeded" in error["message"]
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    limit, remaining, reset = (answer.headers[name] for name in HEADERS)
    assert (limit, remaining) == ("1", "0")
    assert 50 <= int(reset) - time.time() <= 61


async def test_every_answer_says_how_much_is_left(client):
    caller = client(rate_limit=5)
    answers = [await caller.chat(), await caller.chat("")]
    told = [(each.headers[HEADERS[0]], each.headers[HEADERS[1]]) for each in answers]
    assert told == [("5", "4"), ("5", "3")]


async def test_of_two_limits_the_one_that_is_met_first_is_told(client):
    caller = client(rate_limit=3, rate_limit_webhook=5, rate_limit_chat=1)
    calls = [caller.webhook(), caller.chat(), caller.chat()]
    answers = [await call for call in calls]
    assert [answer.headers[HEADERS[0]] for answer in answers] == ["3", "1", "1"]
    assert answers[-1].status_code == 429


@pytest.mark.parametrize(
    "spoilt",
    [
        {"content": "{bad", "headers": {"Content-Type": "application/json"}},
        {"json": {}},
        {"content": "x"},
        {"content": b"x" * 2**21, "headers": {"Content-Type": "application/json"}},
    ],
    ids=["malformed", "invalid", "no JSON", "too large"],
)
async def test_requests_that_fail_count_as_well(client, spoilt):
    caller = client(rate_limit=2)
    answers = await statuses(caller.post("/chat", **spoilt) for _ in range(3))
    assert answers[-1] == 429
    assert 429 not in answers[:-1]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("GET", "/chat")])
async def test_requests_that_lead_nowhere_count_by_address(build, client, method, path):
    app = build(rate_limit=2)
    answers = await statuses(client(app).request(method, path) for _ in range(3))
    assert answers[-1] == 429
    assert 429 not in answers[:-1]
    other = await client(app, address="192.0.2.1").request(method, path)
    assert other.status_code == answers[0]


async def test_all_routes_share_one_limit(client):
    caller = client(rate_limit=len(PATHS))
    for path in PATHS:
        answer = await caller.request("GET" if "models" in path else "POST", path)
        assert answer.status_code != 429
    assert (await caller.chat()).status_code == 429


@pytest.mark.parametrize("route", ["chat", "webhook"])
async def test_a_route_can_have_a_limit_of_its_own(client, route):
    caller = client(**{f"rate_limit_{route}": 2})
    paths = [f"/{route}", f"/api/v1/{route}", f"/{route}"]
    answers = await statuses(caller.post(path, json={}) for path in paths)
    assert answers == [400, 400, 429]
    assert (await caller.get("/api/v1/models")).status_code == 200


async def test_health_has_a_generous_limit_of_its_own(client):
    caller = client(rate_limit=1, rate_limit_health=4)
    probes = ["/health", "/api/v1/health", "/livez", "/readyz", "/health"]
    assert await statuses(map(caller.get, probes)) == [200, 200, 200, 200, 429]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/static/docs.js"])
async def test_the_documentation_is_limited_too(client, path):
    caller = client(rate_limit=1)
    assert await statuses([caller.get(path), caller.get(path)]) == [200, 429]


async def test_every_token_has_its_own_limit_wherever_it_calls_from(build, client):
    app = build(rate_limit=1, api_token="excel:token-of-excel,mail:token-of-mail")

    def call(token, address):
        return client(app, headers={"x-api-token": token}, address=address).chat()

    assert (await call("token-of-excel", "192.0.2.1")).status_code == 200
    assert (await call("token-of-mail", "192.0.2.1")).status_code == 200
    assert (await call("token-of-excel", "192.0.2.2")).status_code == 429


async def test_limits_can_be_switched_off(client):
    caller = client(rate_limit_enabled=False, rate_limit=1)
    answers = [await caller.chat(), await caller.chat()]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not answers[0].headers.keys() & set(HEADERS)


async def test_requests_at_the_same_time_do_not_overshoot(client):
    caller = client(rate_limit=5)
    answers = await asyncio.gather(*(caller.chat() for _ in range(20)))
    assert sum(answer.status_code == 200 for answer in answers) == 5


async def test_two_applications_share_nothing(build, client):
    first, second = build(rate_limit=1), build(rate_limit=2)
    assert await statuses([client(first).chat(), client(first).chat()]) == [200, 429]
    assert await statuses([client(second).chat(), client(second).chat()]) == [200, 200]
    assert b'status="429"' in first.state.metrics.render()
    assert b'status="429"' not in second.state.metrics.render()

import pytest

SHEET = "https://sheet.example"
STRONG = "as-long-and-mixed-as-production-wants"
HOSTED = {"environment": "production", "api_token": STRONG}


async def preflight(caller, origin=SHEET, headers="x-api-token,content-type"):
    return await caller.options(
        "/api/v1/webhook",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": headers,
        },
    )


async def allowed(caller, origin=SHEET):
    """The origin that an answer allows, and the one that a preflight allows."""
    answers = (
        await caller.get("/health", headers={"Origin": origin}),
        await preflight(caller, origin),
    )
    return tuple(
        answer.headers.get("access-control-allow-origin") for answer in answers
    )


async def test_any_origin_may_call_in_development(client):
    assert await allowed(client()) == ("*", "*")


async def test_no_origin_may_call_in_production(client):
    assert await allowed(client(**HOSTED)) == (None, None)


@pytest.mark.parametrize("overrides", [{}, HOSTED], ids=["testing", "production"])
async def test_named_origins_may_call_and_no_others(client, overrides):
    caller = client(allowed_origins=f"{SHEET}, https://b.example", **overrides)
    assert await allowed(caller) == (SHEET, SHEET)
    assert await allowed(caller, "https://evil.example") == (None, None)


@pytest.mark.parametrize(
    "header", ["content-type", "x-api-token", "x-api-key", "authorization"]
)
async def test_a_preflight_needs_no_token_and_counts_nowhere(client, header):
    caller = client(headers={}, rate_limit=1)
    for _ in range(3):
        answer = await preflight(caller, headers=header)
        assert answer.status_code == 200
    assert header in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_browsers_may_read_our_headers_but_send_no_cookies(client):
    answer = await client().get("/health", headers={"Origin": SHEET})
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {
        "retry-after",
        "x-request-id",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    } <= set(exposed)
    assert "access-control-allow-credentials" not in answer.headers


async def test_programs_that_are_no_browsers_see_nothing_of_it(client):
    answer = await client().get("/health")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "vary" not in answer.headers


async def test_a_refused_preflight_is_an_error_like_any_other(client):
    answer = await preflight(client(**HOSTED), "https://evil.example")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert answer.json()["error"]["requestId"] == answer.headers["x-request-id"]

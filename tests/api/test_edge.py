import re

import pytest

STRICT = "default-src 'none'; frame-ancestors 'none'"
GENERATED = re.compile(r"req_[0-9a-f]{32}")


@pytest.mark.parametrize("path", ["/health", "/nope", "/chat"])
async def test_every_answer_has_safe_headers(client, path):
    answer = await client(headers={}).get(path)
    assert answer.headers["content-security-policy"] == STRICT
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("given", ["req_abc123", "a", "A.b_c-9" * 18])
async def test_a_sensible_request_id_is_kept(client, given):
    answer = await client().get("/health", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "a/b", "é", "a" * 129, "a\n"])
async def test_any_other_request_id_is_replaced(client, given):
    headers = {"x-request-id": given.encode()}
    answer = await client().get("/health", headers=headers)
    assert GENERATED.fullmatch(answer.headers["x-request-id"])


async def test_generated_request_ids_differ(client):
    caller = client()
    ids = {(await caller.get("/health")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


PROXY, CLIENT, OTHER = "10.0.0.1", "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        (PROXY, {"x-forwarded-for": CLIENT}, CLIENT),
        (PROXY, {"x-forwarded-for": f"{OTHER}, {CLIENT}"}, CLIENT),
        (PROXY, {}, PROXY),
        (OTHER, {"x-forwarded-for": CLIENT}, OTHER),
    ],
    ids=["trusted", "client cheats", "trusted and silent", "untrusted"],
)
async def test_only_trusted_proxies_name_the_client(
    client, logs, peer, forwarded, seen
):
    caller = client(address=peer, trusted_proxies="10.0.0.0/8")
    await caller.get("/nope", headers=forwarded)
    [line] = logs("request")
    assert line["client_ip"] == seen


async def test_repeated_forwarding_headers_are_one_list(client, logs):
    caller = client(address=PROXY, trusted_proxies="10.0.0.0/8")
    forwarded = [("x-forwarded-for", OTHER), ("x-forwarded-for", CLIENT)]
    await caller.get("/nope", headers=forwarded)
    assert logs("request")[0]["client_ip"] == CLIENT


@pytest.mark.parametrize(
    ("trusted", "second"), [("10.0.0.0/8", 200), ("", 429)], ids=["trusted", "not"]
)
async def test_limits_count_the_client_and_not_the_trusted_proxy(
    client, trusted, second
):
    caller = client(address=PROXY, trusted_proxies=trusted, rate_limit_health=1)
    statuses = [
        (await caller.get("/health", headers={"x-forwarded-for": each})).status_code
        for each in (CLIENT, OTHER)
    ]
    assert statuses == [200, second]


@pytest.mark.parametrize(
    ("url", "peer", "headers", "told"),
    [
        ("https://proxy.test", OTHER, {}, True),
        ("http://proxy.test", PROXY, {"x-forwarded-proto": "https"}, True),
        ("http://proxy.test", PROXY, {"x-forwarded-proto": "http"}, False),
        ("http://proxy.test", OTHER, {"x-forwarded-proto": "https"}, False),
        ("http://proxy.test", OTHER, {}, False),
    ],
)
async def test_https_is_asked_for_where_it_is_spoken(client, url, peer, headers, told):
    caller = client(url=url, address=peer, trusted_proxies="10.0.0.0/8")
    answer = await caller.get("/health", headers=headers)
    assert ("strict-transport-security" in answer.headers) == told


async def test_a_client_without_an_address_is_served(build, client, logs):
    app = build()

    async def nameless(scope, receive, send):
        await app({**scope, "client": None}, receive, send)

    assert (await client(nameless).get("/nope")).status_code == 404
    assert logs("request")[0]["client_ip"] == "unknown"


async def test_head_is_answered_like_get(client):
    assert (await client().head("/health")).status_code == 200

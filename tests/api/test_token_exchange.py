"""Keys are exchanged for short-lived tokens."""

import time

import pytest

PATH = "/api/v1/auth/token"
MODELS = "/api/v1/models"
KEYS = "/api/v1/keys"
SIGNING_KEY = "k" * 20 + "0123456789abcdef"  # pragma: allowlist secret


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"jwt_secret_key": SIGNING_KEY, "jwt_seconds": 900}


@pytest.fixture
def bearer(managed, client):
    """Makes callers with a token."""
    return lambda answer: client(
        managed.app,
        headers={"authorization": f"Bearer {answer.json()['access_token']}"},
    )


def rotate(managed, key, **how):
    return managed.post(f"{KEYS}/{key['id']}/rotate", json=how)


class TestExchange:
    async def test_the_token_stands_for_the_key(self, make_key, caller, bearer):
        key = await make_key(role="operator")
        answer = await caller(key).post(PATH)
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        body = answer.json()
        assert body == {
            "access_token": body["access_token"],
            "token_type": "Bearer",
            "expires_in": body["expires_in"],
            "scope": "cache:purge keys:read metrics:read models:call models:read "
            "usage:read usage:read_all",
        }
        assert body["expires_in"] in (899, 900)
        calls = bearer(answer)
        assert (await calls.get(f"{KEYS}/{key['id']}")).status_code == 200
        assert (await calls.post(KEYS, json={"name": "n"})).status_code == 403

    async def test_it_may_be_good_for_less(self, make_key, caller, bearer):
        key = await make_key(role="operator")
        wish = {"expires_in_seconds": 60, "scopes": ["usage:read", "models:read"]}
        answer = await caller(key).post(PATH, json=wish)
        body = answer.json()
        assert body["scope"] == "models:read usage:read"
        assert body["expires_in"] in (59, 60)
        calls = bearer(answer)
        assert (await calls.get(MODELS)).status_code == 200
        assert (await calls.get(KEYS)).status_code == 403

    async def test_it_is_good_for_no_more(self, managed, make_key, caller):
        calls = caller(await make_key(role="viewer"))
        answer = await calls.post(PATH, json={"scopes": ["models:call"]})
        assert answer.status_code == 403
        audit = await managed.get("/api/v1/audit?action=token.issue.refused")
        assert len(audit.json()["data"]) == 1
        answer = await calls.post(PATH, json={"expires_in_seconds": 86_400})
        assert answer.json()["expires_in"] in (899, 900)

    async def test_tokens_do_not_prolong_each_other(self, make_key, caller, bearer):
        key = await make_key()
        first = await caller(key).post(PATH, json={"expires_in_seconds": 60})
        second = await bearer(first).post(PATH)
        assert second.json()["expires_in"] <= 60

    async def test_it_dies_with_its_key(self, managed, make_key, caller, bearer):
        key = await make_key()
        calls = bearer(await caller(key).post(PATH))
        assert (await calls.get(MODELS)).status_code == 200
        await managed.delete(f"{KEYS}/{key['id']}")
        assert (await calls.get(MODELS)).status_code == 401

    async def test_it_ends_with_the_secret_that_asked_for_it(
        self, managed, make_key, caller, bearer
    ):
        old = await make_key()
        first = bearer(await caller(old).post(PATH))
        second = bearer(await first.post(PATH))
        answer = await rotate(managed, old, overlap_seconds=60)
        third = bearer(await caller(answer.json()["data"]).post(PATH))
        for calls in (caller(old), first, second):
            assert (await calls.post(PATH)).json()["expires_in"] <= 60
        assert (await third.post(PATH)).json()["expires_in"] > 60

        fourth = bearer(await third.post(PATH))
        await rotate(managed, old, overlap_seconds=0)
        for calls in (first, second, third, fourth):
            assert (await calls.get(MODELS)).status_code == 401

    @pytest.mark.parametrize(
        ("end", "reason"),
        [("revoke", "revoked"), ("rotate", "expired"), ("wait", "expired")],
    )
    async def test_the_log_says_of_which_key_it_was(
        self, managed, make_key, caller, bearer, logs, monkeypatch, end, reason
    ):
        key = await make_key()
        calls = bearer(await caller(key).post(PATH, json={"expires_in_seconds": 60}))
        assert (await calls.get(MODELS)).status_code == 200
        if end == "revoke":
            await managed.delete(f"{KEYS}/{key['id']}")
        elif end == "rotate":
            await rotate(managed, key, overlap_seconds=0)
        else:
            tokens = managed.app.state.access_tokens
            later = time.time() + 61
            monkeypatch.setattr(tokens, "_clock", lambda: later)
            monkeypatch.setattr(tokens._verified, "_clock", lambda: later)
        assert (await calls.get(MODELS)).status_code == 401
        [line] = logs("auth_failed")
        assert (line["reason"], line["key"]) == (reason, key["id"])

    async def test_of_a_forged_one_it_says_nothing(
        self, managed, make_key, caller, client, logs
    ):
        answer = await caller(await make_key()).post(PATH)
        head, claims, _ = answer.json()["access_token"].split(".")
        forged = f"{head}.{claims}.{'A' * 43}"
        calls = client(managed.app, headers={"authorization": f"Bearer {forged}"})
        assert (await calls.get(MODELS)).status_code == 401
        [line] = logs("auth_failed")
        assert line["reason"] == "unknown"
        assert "key" not in line

    async def test_the_root_has_one_too(self, managed, bearer):
        calls = bearer(await managed.post(PATH))
        assert (await calls.get("/api/v1/audit")).status_code == 200

    @pytest.mark.parametrize(
        ("api_token", "status"), [("test_token", 200), ("another_token", 401)]
    )
    async def test_it_ends_with_the_token_of_the_settings(
        self, managed, build, client, overrides, api_token, status
    ):
        issued = (await managed.post(PATH)).json()["access_token"]
        later = build(api_token=api_token, database_url="off", **overrides)
        async with later.router.lifespan_context(later):
            calls = client(later, headers={"authorization": f"Bearer {issued}"})
            assert (await calls.get(MODELS)).status_code == status

    async def test_strangers_have_none(self, managed, client):
        calls = client(managed.app, headers={"x-api-token": "wrong"})
        assert (await calls.post(PATH)).status_code == 401


class TestMistakes:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"expires_in_seconds": 0}, "expires_in_seconds"),
            ({"expires_in_seconds": "60"}, "expires_in_seconds"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["everything"]}, "scopes.0"),
            ({"sub": "root"}, "sub"),
        ],
    )
    async def test_they_are_named(self, managed, body, field):
        answer = await managed.post(PATH, json=body)
        assert answer.status_code == 400
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == field

    @pytest.mark.parametrize("overrides", [{}])
    async def test_without_a_signing_key_there_are_none(self, managed):
        answer = await managed.post(PATH)
        assert answer.status_code == 404
        assert "JWT_SECRET_KEY" in answer.json()["error"]["message"]

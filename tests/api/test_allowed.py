"""What a key may ask, where, from where, and for how long."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

KEYS = "/api/v1/keys"
HELLO = [{"role": "user", "content": "Hi"}]
CONFIG = """
models:
  smart: {deployments: [{model: anthropic/claude-sonnet-4-5}], fallbacks: [cheap]}
  cheap: {deployments: [{model: openai/gpt-4o-mini}]}
  gpt-4: {deployments: [{model: anthropic/claude-haiku-4-5}]}
"""
PROXY = "192.0.2.1"
PATTERNS = [
    (["openai/gpt-4o*"], "openai/gpt-4o", True),
    (["OpenAI/GPT-4o*"], "openai/gpt-4o", True),
    (["openai/gpt-4o*"], "openai/o3", False),
    (["anthropic/*"], "openai/gpt-4o", False),
    ([], "openai/gpt-4o", False),
    (["smart"], "smart", True),
    (["smart"], "llm-proxy/smart", True),
    (["llm-proxy/smart"], "smart", True),
    (["smart"], "cheap", False),
    (["openai/*"], "cheap", True),
    (["openai/*"], "smart", False),
    (["openai/*", "anthropic/*"], "smart", True),
    (["gpt-4"], "gpt-4", True),
    # The operator's model of that name leads elsewhere.
    (["gpt-4"], "openai/gpt-4", False),
]


@pytest.fixture(autouse=True)
def config(settings, tmp_path):
    """Models of the operator's; one has the name of a vendor's."""
    (tmp_path / "llm-proxy.yaml").write_text(CONFIG)


@pytest.fixture
def overrides():
    return {"trusted_proxies": PROXY, "llm_fallback_provider": "anthropic"}


@pytest.fixture
def asking(make_key, caller):
    """Makes a caller with a key."""

    async def asking(**fields):
        return caller(await make_key(**fields))

    return asking


async def ask(caller, path, name, **headers):
    """Asks a model on a surface; `/chat` takes the provider apart from the name."""
    body = {"model": name, "messages": HELLO}
    if path == "/chat":
        provider, _, model = name.rpartition("/")
        body = {"provider": provider or "llm-proxy", "model": model, "prompt": "Hi"}
    if path == "/v1/messages":
        body["max_tokens"] = 9
    return await caller.post(path, json=body, headers=headers)


class TestModels:
    @pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions", "/v1/messages"])
    async def test_a_pattern_fits_a_name_or_all_that_it_leads_to(
        self, asking, upstream, path
    ):
        for patterns, name, is_allowed in PATTERNS:
            asked = len(upstream.sent)
            answer = await ask(await asking(models=patterns), path, name)
            status = 200 if is_allowed else 403
            assert answer.status_code == status, (patterns, name)
            assert len(upstream.sent) == asked + is_allowed

    async def test_a_vendors_name_is_one(self, asking):
        caller = await asking(models=["gpt-4o-mini"])
        path = "/v1/chat/completions"
        assert (await ask(caller, path, "gpt-4o-mini")).status_code == 200
        assert (await ask(caller, path, "gpt-4o")).status_code == 403

    async def test_a_refusal_says_what_was_asked(self, asking):
        answer = await ask(await asking(models=["smart"]), "/chat", "openai/o3")
        error = answer.json()["error"]
        assert error["code"] == "MODEL_NOT_ALLOWED"
        assert error["details"] == {"model": "o3"}

    @pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions"])
    async def test_wished_fallbacks_are_asked_for_as_well(self, asking, upstream, path):
        caller = await asking(models=["openai/*"])
        wish = {"x-llm-proxy-fallbacks": "openai/o3, anthropic/claude-opus-4-5"}
        answer = await ask(caller, path, "openai/gpt-4o", **wish)
        assert answer.status_code == 403
        assert "x-llm-proxy-fallbacks" in answer.text
        assert upstream.sent == []

    async def test_tasks_go_where_their_key_may_go(self, asking, upstream):
        assert (await (await asking(models=["smart"])).webhook()).status_code == 403
        assert (await (await asking(models=["openai/*"])).webhook()).status_code == 200
        assert [sent["model"] for sent in upstream.sent] == ["gpt-4"]

    async def test_the_operators_fallback_is_for_all(self, asking, upstream):
        upstream.openai.respond(503)
        answer = await ask(await asking(models=["openai/*"]), "/chat", "openai/gpt-4o")
        assert answer.json()["provider"] == "anthropic"

    async def test_lists_show_what_may_be_asked(self, asking):
        caller = await asking(models=["smart", "openai/gpt-4*"])
        shown = (await caller.get("/api/v1/models")).json()["data"]
        assert [each["id"] for each in shown] == ["llm-proxy/smart", "openai/gpt-4"]
        listed = (await caller.get("/v1/models")).json()["data"]
        assert {each["owned_by"] for each in listed} == {"llm-proxy", "openai"}
        assert all(each["id"] == "smart" or "gpt-4" in each["id"] for each in listed)
        anthropic = {"anthropic-version": "2023-06-01"}
        paged = (await caller.get("/v1/models", headers=anthropic)).json()["data"]
        assert {each["id"] for each in paged} <= {each["id"] for each in listed}

    @pytest.mark.parametrize(
        ("name", "status"), [("smart", 200), ("openai/o3", 404), ("cheap", 404)]
    )
    async def test_one_that_may_not_be_asked_is_not_there(self, asking, name, status):
        caller = await asking(models=["smart", "openai/gpt-4*"])
        assert (await caller.get(f"/v1/models/{name}")).status_code == status

    async def test_nor_is_it_explained(self, asking):
        caller = await asking(models=["smart"], role="viewer")
        answers = [
            await caller.post("/api/v1/explain", json={"model": name})
            for name in ("smart", "llm-proxy/smart", "cheap")
        ]
        assert [each.status_code for each in answers] == [200, 200, 403]


SURFACES = {
    "chat": ["/chat", "/api/v1/chat"],
    "webhook": ["/webhook", "/api/v1/webhook"],
    "openai": [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/images/edits",
        "/v1/audio/speech",
        "/v1/moderations",
        "/v1/v1/responses",
        "/responses/input_tokens",
    ],
    "anthropic": ["/v1/messages", "/messages", "/v1/messages/count_tokens"],
}


@pytest.mark.parametrize("surface", SURFACES)
async def test_a_key_opens_its_surfaces(asking, surface):
    caller = await asking(surfaces=[surface])
    for name, paths in SURFACES.items():
        for path in paths:
            answer = await caller.post(path, json={})
            assert (answer.status_code != 403) == (name == surface), path
    assert (await caller.get("/api/v1/models")).status_code == 200


class TestNetworks:
    @pytest.mark.parametrize(
        ("address", "forwarded", "status"),
        [
            ("10.1.2.3", "", 200),
            ("203.0.113.9", "", 403),
            (PROXY, "10.1.2.3", 200),
            (PROXY, "203.0.113.9", 403),
            # What the client itself has written is not believed.
            (PROXY, "10.1.2.3, 203.0.113.9", 403),
            ("203.0.113.9", "10.1.2.3", 403),
            (PROXY, "::ffff:10.1.2.3", 200),
            (PROXY, "10.1.2.3:5000", 200),
            (PROXY, "2001:db8::7", 200),
            (PROXY, "nonsense", 403),
        ],
    )
    async def test_a_key_is_of_use_in_them(
        self, make_key, caller, address, forwarded, status
    ):
        key = await make_key(networks=["10.0.0.0/8", "2001:db8::/32"])
        headers = {"x-forwarded-for": forwarded} if forwarded else {}
        answer = await caller(key, address=address).get(
            "/api/v1/models", headers=headers
        )
        assert answer.status_code == status

    async def test_to_try_from_elsewhere_counts_as_guessing(
        self, build, client, tmp_path
    ):
        app = build(database_url=f"sqlite:///{tmp_path}/it.db", auth_failure_limit=2)
        async with app.router.lifespan_context(app):
            root = client(app)
            made = await root.post(KEYS, json={"name": "k", "networks": ["10.0.0.0/8"]})
            headers = {"x-api-key": made.json()["data"]["secret"]}
            outside = client(app, headers=headers, address="203.0.113.9")
            answers = [await outside.get("/api/v1/models") for _ in range(3)]
            assert [each.status_code for each in answers] == [403, 403, 429]
            inside = client(app, headers=headers, address="10.1.2.3")
            assert (await inside.get("/api/v1/models")).status_code == 200


class TestTheEnd:
    @pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions", "/v1/messages"])
    async def test_a_key_that_is_over_is_nobodys(self, make_key, caller, path):
        moment = datetime.now(UTC) + timedelta(seconds=3)
        key = await make_key(expires_at=moment.isoformat())
        assert (await ask(caller(key), path, "openai/gpt-4o")).status_code == 200
        await asyncio.sleep((moment - datetime.now(UTC)).total_seconds() + 0.05)
        answer = await ask(caller(key), path, "openai/gpt-4o")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="llm-proxy"'

    async def test_a_revoked_key_ends_at_once(self, managed, make_key, caller):
        key = await make_key()
        assert (await caller(key).chat()).status_code == 200
        await managed.delete(f"{KEYS}/{key['id']}")
        assert (await caller(key).chat()).status_code == 401

    async def test_a_replaced_secret_works_as_long_as_was_agreed(
        self, managed, make_key, caller
    ):
        key = await make_key()
        path = f"{KEYS}/{key['id']}/rotate"
        made = (await managed.post(path, json={"overlap_seconds": 60})).json()["data"]
        statuses = [(await caller(each).chat()).status_code for each in (key, made)]
        assert statuses == [200, 200]
        again = (await managed.post(path, json={"overlap_seconds": 0})).json()["data"]
        statuses = [
            (await caller(each).chat()).status_code for each in (key, made, again)
        ]
        assert statuses == [401, 401, 200]

import asyncio

import pytest


@pytest.fixture
def call(build):
    """Posts to `/chat` and hangs up when told to; what comes back goes to `send`."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/chat",
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"x-api-token", b"test_token"),
            (b"content-type", b"application/json"),
        ],
    }

    async def call(body, send, hang_up=None, *, more_body=False, **overrides):
        messages = [{"type": "http.request", "body": body, "more_body": more_body}]

        async def receive():
            if messages:
                return messages.pop()
            await (hang_up or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        await build(**overrides)(scope, receive, send)

    return call


@pytest.fixture
def overrides():
    """The settings that a test changes."""
    return {}


@pytest.fixture
async def managed(build, client, sqlite_url, overrides):
    """The root, who calls a service that is open and has a database."""
    app = build(database_url=sqlite_url, rate_limit_enabled=False, **overrides)
    async with app.router.lifespan_context(app):
        root = client(app)
        root.app = app
        yield root


@pytest.fixture
def caller(managed, client):
    """Makes callers with a key."""
    return lambda key, **how: client(
        managed.app, headers={"authorization": f"Bearer {key['secret']}"}, **how
    )


@pytest.fixture
def make_key(managed, caller):
    """Makes keys, by the root or with another key."""

    async def make_key(by=None, **fields):
        maker = managed if by is None else caller(by)
        answer = await maker.post("/api/v1/keys", json={"name": "key"} | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    return make_key

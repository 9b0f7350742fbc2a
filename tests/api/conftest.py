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

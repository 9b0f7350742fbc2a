from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from llm_proxy.providers.loopback import SandboxServer
from llm_proxy.providers.sandbox import MODELS

# Whose reply has no end, or is another one every minute.
NEVER_THE_END = {"fault-drip", "fault-endless", "flapping"}
# Numbers that keep the tests quick.
SMALL = {
    "slow-first-token": "-20",
    "slow-stream": "-1",
    **dict.fromkeys(("fault-huge", "fault-huge-line", "fault-huge-error"), "-1"),
    **{f"fault-{coding}-bomb": "-1" for coding in ("gzip", "deflate", "zstd")},
}
# What one answer does to its connection is nothing to the next one.
APART = httpx.Limits(max_keepalive_connections=0)
KEYS = {
    "/chat/completions": {"authorization": "Bearer any"},
    "/messages": {"x-api-key": "any", "anthropic-version": "2023-06-01"},
}


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    server = SandboxServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def client(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    url = await sandbox.start()
    async with httpx.AsyncClient(base_url=url, timeout=10, limits=APART) as client:
        yield client


@pytest.fixture
def build(client: httpx.AsyncClient) -> Callable[..., httpx.Request]:
    """Makes a request in one of the dialects; it is right unless told otherwise."""

    def build(path: str, model: str = "sandbox", text: object = "Hello there", **more):
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "max_tokens": 200, "messages": messages, **more}
        kept = {name: value for name, value in body.items() if value is not ...}
        return client.build_request("POST", path, json=kept, headers=KEYS[path])

    return build


@pytest.fixture
def ask(client: httpx.AsyncClient, build) -> Callable[..., Awaitable[httpx.Response]]:
    """Sends what `build` makes."""

    async def ask(path: str, *arguments, **more) -> httpx.Response:
        return await client.send(build(path, *arguments, **more))

    return ask


@pytest.fixture(params=sorted({*MODELS} - NEVER_THE_END))
def name(request) -> str:
    """Every model whose reply comes to an end, or to a standstill."""
    return request.param


@pytest.fixture
def persist(name: str) -> Callable[..., Awaitable[httpx.Response]]:
    """Asks the model up to three times, as one does whose first request fails."""

    async def persist(ask: Callable[..., Awaitable[httpx.Response]]) -> httpx.Response:
        for _ in range(3):
            response = await ask(name + SMALL.get(name, ""))
            if response.status_code == 200:
                break
        return response

    return persist

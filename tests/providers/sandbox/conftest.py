from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from llm_proxy.providers.loopback import SandboxServer

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
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
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

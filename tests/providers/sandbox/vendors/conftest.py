from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from tests.providers.sandbox.conftest import APART

from llm_proxy.providers.loopback import SandboxServer

GEMINI_KEY = {"x-goog-api-key": "any"}
BEDROCK_KEY = {"authorization": "Bearer any"}


@pytest.fixture
async def root(sandbox: SandboxServer) -> str:
    """The address below which Google's and Amazon's paths begin."""
    return (await sandbox.start()).removesuffix("/v1")


@pytest.fixture
async def vendor(root: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=root, timeout=10, limits=APART) as client:
        yield client


@pytest.fixture
def gemini(vendor: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Generates content; the request is right unless told otherwise."""

    async def gemini(model: str = "sandbox", stream: bool = False, **more: object):
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
        url = f"/v1beta/models/{model}:{method}"
        return await vendor.post(url, json=body | more, headers=GEMINI_KEY)

    return gemini


@pytest.fixture
def converse(vendor: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Converses; the request is right unless told otherwise."""

    async def converse(model: str = "sandbox", stream: bool = False, **more: object):
        operation = "converse-stream" if stream else "converse"
        body = {"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}
        url = f"/model/{model}/{operation}"
        return await vendor.post(url, json=body | more, headers=BEDROCK_KEY)

    return converse

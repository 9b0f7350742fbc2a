"""Providers of Google, Amazon and Microsoft that reach the sandbox by real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llm_proxy.providers import LLMProvider
from llm_proxy.providers.loopback import SandboxServer

# Where an API is below the sandbox, and what else it takes to get there.
SETTINGS = {
    "openai": ("openai_base_url", "/v1", {}),
    "anthropic": ("anthropic_base_url", "/v1", {}),
    "gemini": ("gemini_base_url", "/v1beta", {"gemini_api_key": "any"}),
    "bedrock": ("bedrock_base_url", "", {"aws_bearer_token_bedrock": "any"}),
    "azure": ("azure_openai_endpoint", "", {"azure_openai_api_key": "any"}),
    "azure-dated": (
        "azure_openai_endpoint",
        "",
        {"azure_openai_api_key": "any", "azure_openai_api_version": "2024-10-21"},
    ),
}


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    server = SandboxServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def provider_at(make_factory, sandbox) -> Callable[..., Awaitable[LLMProvider]]:
    """Makes a provider for one of the sandbox's models.

    An upstream is an API and, for some, the beginning of a model's id, which tells the
    provider what the model can do.
    """

    async def provider_at(
        upstream: str, model: str = "sandbox", **overrides: object
    ) -> LLMProvider:
        api, _, prefix = upstream.partition("/")
        variable, path, more = SETTINGS[api]
        root = (await sandbox.start()).removesuffix("/v1")
        factory = make_factory(**{variable: root + path}, **more, **overrides)
        model_id = f"{prefix}.{model}" if prefix else model
        return factory.get_provider(api.removesuffix("-dated"), model_id)

    return provider_at

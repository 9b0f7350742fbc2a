"""Providers of a factory that owes nothing to the machine it runs on."""

import os
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from llm_proxy.config import ProviderConfig, ProxyConfig
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.connections import Connections
from llm_proxy.transport import UpstreamClient

_READ_BY_PROVIDERS = ("_API_KEY", "_BASE_URL", "_MODEL", "_HOST", "_TOKEN", "_REGION")

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def bare_environment(monkeypatch) -> None:
    for name in [name for name in os.environ if name.endswith(_READ_BY_PROVIDERS)]:
        monkeypatch.delenv(name)


@pytest.fixture
async def make_factory(
    settings, bare_environment
) -> AsyncIterator[Callable[..., ProviderFactory]]:
    """Makes factories; without a handler they use real sockets."""
    factories = []

    def make_factory(
        handler: Handler | None = None,
        entries: dict[str, ProviderConfig] | None = None,
        **overrides: object,
    ) -> ProviderFactory:
        transport = httpx.MockTransport(handler) if handler is not None else None
        factory = ProviderFactory(
            settings(**overrides),
            ProxyConfig(providers=entries or {}),
            UpstreamClient(transport),
        )
        factories.append(factory)
        return factory

    yield make_factory
    for factory in factories:
        await factory.aclose()


@pytest.fixture
async def connect(
    settings, bare_environment
) -> AsyncIterator[Callable[..., Connection]]:
    """Says how a provider is reached."""
    made = []

    def connect(
        name: str, entries: dict[str, ProviderConfig] | None = None, **overrides: object
    ) -> Connection:
        made.append(Connections(settings(**overrides), entries or {}, UpstreamClient()))
        return made[-1].get(name)

    yield connect
    for each in made:
        await each.aclose()


@pytest.fixture
def provider_of(make_factory) -> Callable[..., LLMProvider]:
    """Makes a provider whose upstream always answers the same, or raises."""

    def provider_of(
        vendor: str, answer: httpx.Response | Exception, **overrides: object
    ) -> LLMProvider:
        def handle(request: httpx.Request) -> httpx.Response:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return make_factory(handle, **overrides).get_provider(vendor, "a-model")

    return provider_of

"""Providers that talk to recorded upstreams."""

from collections.abc import AsyncIterator, Callable
from functools import cache

import httpx
import pytest
from tests.contract.exchanges import Contract, Recording, contracts
from tests.contract.upstream import RecordedUpstream

from llm_proxy.config import ProxyConfig
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.settings import Settings
from llm_proxy.transport import UpstreamClient

Meeting = tuple[LLMProvider, RecordedUpstream]


@pytest.fixture
def bare_environment(monkeypatch) -> None:
    for contract in contracts():
        for name in contract.environment:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def meet(
    settings, bare_environment, monkeypatch
) -> AsyncIterator[Callable[..., Meeting]]:
    """Makes a contract's provider, set up as an operator would, and its upstream."""
    factories = []

    @cache
    def set_up(contract: Contract) -> Settings:
        for name, value in contract.environment.items():
            monkeypatch.setenv(name, value)
        fields = {
            name.lower(): value
            for name, value in contract.environment.items()
            if name.lower() in Settings.model_fields
        }
        return settings(**fields)

    def meet(
        contract: Contract, answer: Recording, piece: int | None = None
    ) -> Meeting:
        upstream = RecordedUpstream(answer, piece)
        factory = ProviderFactory(
            set_up(contract),
            ProxyConfig(),
            UpstreamClient(httpx.MockTransport(upstream)),
        )
        factories.append(factory)
        return factory.get_provider(contract.provider, contract.model), upstream

    yield meet
    for factory in factories:
        await factory.aclose()

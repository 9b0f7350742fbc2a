"""Providers that do as they are told, waits that nobody waits for, and catalogs."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

import pytest

from llm_proxy.config import ModelConfig, ProviderConfig, ProxyConfig
from llm_proxy.errors import ProviderNotConfiguredError
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.routing import (
    Backoff,
    Catalog,
    Deployment,
    Health,
    Policy,
    RetryBudget,
    Router,
)
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import (
    ChatRequest,
    ChatResponse,
    Chunk,
    Text,
    Timeouts,
    Usage,
)

FOREVER = object()
"""In place of an answer or of a piece of one: silence."""


class ScriptedProvider(LLMProvider):
    """Answers each call with the next of its outcomes, the last one for good.

    An outcome is the text of an answer, an error, `FOREVER`, or, for streams, a tuple
    of those.
    """

    def __init__(self, *outcomes: object) -> None:
        super().__init__("scripted")
        self.calls = 0
        self.closed = 0
        self._outcomes = outcomes

    def _next(self) -> object:
        self.calls += 1
        return self._outcomes[min(self.calls, len(self._outcomes)) - 1]

    async def complete(self, request: ChatRequest) -> ChatResponse:
        text = Text(await _say(self._next()))
        return ChatResponse((text,), "scripted-1", "stop", Usage())

    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        outcome = self._next()
        try:
            for piece in outcome if isinstance(outcome, tuple) else (outcome,):
                yield [Chunk(await _say(piece))]
        finally:
            self.closed += 1


async def _say(piece: object) -> str:
    if isinstance(piece, Exception):
        raise piece
    if piece is FOREVER:
        await asyncio.Event().wait()
    return str(piece)


class ScriptedFactory:
    """Stands in for the `ProviderFactory`: providers by name."""

    def __init__(self, **providers: LLMProvider) -> None:
        self._providers = providers

    def get_provider(self, name: str, model: str, timeouts: Timeouts) -> LLMProvider:
        try:
            return self._providers[name]
        except KeyError:
            raise ProviderNotConfiguredError from None


class Waits(list[float]):
    """The seconds that were asked for; nobody waits for them."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


class Clock:
    """Monotonic seconds, which pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def scripted() -> type[ScriptedProvider]:
    return ScriptedProvider


@pytest.fixture
def forever() -> object:
    return FOREVER


@pytest.fixture
def router(waits) -> Iterator[Callable[..., Router]]:
    """Makes routers over scripted providers, without a breaker unless told."""

    def router(
        health: Health | None = None,
        backoff: Backoff | None = None,
        budget: RetryBudget | None = None,
        window_of: Callable[[Deployment], int | None] = lambda _: None,
        **providers: LLMProvider,
    ) -> Router:
        policy = Policy(
            health or Health(failures=0, cooldown_seconds=30),
            budget or RetryBudget(),
            backoff or Backoff(),
            window_of,
        )
        return Router(ScriptedFactory(**providers), policy, waits.sleep)

    return router


@pytest.fixture
async def catalog(settings, monkeypatch):
    """Makes catalogs of aliases, over the real registry of providers."""
    for name in [*os.environ]:
        if name.endswith(("_KEY", "_TOKEN", "_MODEL", "_BASE_URL")):
            monkeypatch.delenv(name)
    factories = []

    def catalog(
        providers: dict[str, ProviderConfig] | None = None,
        overrides: dict[str, object] | None = None,
        **aliases: ModelConfig,
    ) -> Catalog:
        chosen = settings(retry_attempts=3, **overrides or {})
        config = ProxyConfig(providers=providers or {}, models=aliases)
        factories.append(ProviderFactory(chosen, config, UpstreamClient()))
        return Catalog(chosen, config, factories[-1])

    yield catalog
    for factory in factories:
        await factory.aclose()

"""Providers that do as they are told, waits that nobody waits for, and catalogs."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial

import pytest

from llm_proxy.config import ModelConfig, ProviderConfig, ProxyConfig
from llm_proxy.errors import (
    APIError,
    LLMAPIError,
    LLMRateLimitedError,
    ProviderNotConfiguredError,
)
from llm_proxy.providers import LLMProvider, ProviderFactory
from llm_proxy.routing import (
    Backoff,
    Catalog,
    Deployment,
    Health,
    Plan,
    Policy,
    RetryBudget,
    Route,
    Router,
    Target,
    Trace,
)
from llm_proxy.routing.step import Step
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


class Clock:
    """Monotonic seconds, which pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Waits(list[float]):
    """The seconds that were asked for; they pass on the clock, and nobody waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)
        self._clock.now += seconds


@pytest.fixture
def waits(clock) -> Waits:
    return Waits(clock)


@pytest.fixture
def scripted() -> type[ScriptedProvider]:
    return ScriptedProvider


@pytest.fixture
def forever() -> object:
    return FOREVER


@pytest.fixture
def router(waits, clock) -> Callable[..., Router]:
    """Makes routers over scripted providers, without a breaker unless told."""

    def router(
        health: Health | None = None,
        backoff: Backoff | None = None,
        budget: RetryBudget | None = None,
        window_of: Callable[[Deployment], int | None] = lambda _: None,
        **providers: LLMProvider,
    ) -> Router:
        policy = Policy(
            health or Health(failures=0, cooldown_seconds=30, clock=clock),
            budget or RetryBudget(),
            backoff or Backoff(),
            window_of,
        )
        return Router(ScriptedFactory(**providers), policy, waits.sleep)

    return router


class Road:
    """A plan and a world in which deployments do as they are told; nobody waits.

    Attributes:
        asked: When who was asked, by model.
    """

    def __init__(self, clock: Clock, *tiers: str, **fields: object) -> None:
        self.clock = clock
        self.asked: list[tuple[float, str]] = []
        self.health = Health(fields.pop("failures", 0), 30, clock)
        self.budget = RetryBudget(fields.pop("capacity", 50))
        backoff = Backoff(jitter_seconds=0)
        windows: dict[str, int] = fields.pop("windows", {})
        self._policy = Policy(
            self.health, self.budget, backoff, lambda each: windows.get(name_of(each))
        )
        values = {"retries": 2, "deadline_seconds": 100.0} | fields
        rows = (tuple(Deployment(target(name)) for name in tier) for tier in tiers)
        self.route = Route(tiers=tuple(rows), **values)

    def plan(self) -> Plan:
        """Begins a call."""
        deadline = self.clock.now + self.route.deadline_seconds
        return Plan(self.route, self._policy, Trace(), deadline, self.clock)

    def take(self, plan: Plan, step: Step, outcome: object) -> bool:
        """Takes a step, as the router does; whether it leads to an answer."""
        self.clock.now += step.wait_seconds
        if step.wait_seconds and (pause := self.health.pause_of(step.target)):
            plan.failed(step, pause.error)
            return False
        self.asked.append((self.clock.now, name_of(step.deployment)))
        attempt = self.health.begin(step.target)
        attempt.end(outcome if isinstance(outcome, LLMAPIError) else None)
        if isinstance(outcome, APIError):
            plan.failed(step, outcome)
            return False
        return True

    def drive(self, **outcomes: object) -> Plan:
        """Makes a call; of a list of outcomes the last one stays, and None answers."""
        plan = self.plan()
        turns = {
            name: list(each) if isinstance(each, list) else [each]
            for name, each in outcomes.items()
        }
        while (step := plan.next()) is not None:
            turn = turns.get(name_of(step.deployment), [None])
            if self.take(plan, step, turn.pop(0) if len(turn) > 1 else turn[0]):
                break
        return plan

    @property
    def names(self) -> str:
        """Who was asked, in order."""
        return "".join(name for _, name in self.asked)

    def pause(self, name: str, seconds: float) -> None:
        """Lets an upstream ask for a rest."""
        error = LLMRateLimitedError(retry_after_seconds=seconds)
        self.health.begin(target(name)).end(error)


def target(name: str) -> Target:
    """Deployments have names of one letter, and each has a provider of its own."""
    return Target(f"provider-{name}", name)


def name_of(deployment: Deployment) -> str:
    return deployment.target.model


@pytest.fixture
def road(clock) -> Callable[..., Road]:
    """Makes roads: tiers as words of deployments' letters."""
    return partial(Road, clock)


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

"""Makes the parts of an application, and says in which order they are opened."""

import hashlib
from functools import partial
from typing import Protocol

import httpx
from fastapi import FastAPI

from llm_proxy import __version__
from llm_proxy.accounting import Accounts
from llm_proxy.api.admission import Admission
from llm_proxy.api.v1.background import Background
from llm_proxy.books import Books
from llm_proxy.cache import Cache, MemoryStore, Store
from llm_proxy.cache import Policy as CachePolicy
from llm_proxy.cache.shared import SharedStore
from llm_proxy.config import LimitsConfig, ProxyConfig, load_config
from llm_proxy.drain import Drain
from llm_proxy.exchange import Exchanges
from llm_proxy.gateway import Gateway
from llm_proxy.guardrails import Guardrails
from llm_proxy.idempotency import MemoryStore as IdempotencyMemory
from llm_proxy.inspection import Inspection
from llm_proxy.ledger import Costs, spent
from llm_proxy.limits import (
    Allowances,
    LocalCounters,
    Places,
    RateLimits,
    SharedCounters,
    Terms,
)
from llm_proxy.lingering import Lingering
from llm_proxy.providers import ProviderFactory
from llm_proxy.quotas import Quotas
from llm_proxy.responses import ResponseStore
from llm_proxy.routing import (
    Backoff,
    Catalog,
    Health,
    Policy,
    RetryBudget,
    Router,
    Traces,
)
from llm_proxy.security import (
    OIDC,
    AccessTokens,
    Identities,
    IdentityProvider,
    SettingsTokenStore,
)
from llm_proxy.settings import ConfigurationError, Settings
from llm_proxy.storage.redis import Redis
from llm_proxy.tasks import load_templates
from llm_proxy.telemetry import Metrics
from llm_proxy.transport import UpstreamClient


def install_parts(app: FastAPI, settings: Settings, client: UpstreamClient) -> None:
    """Make the parts and leave them where the routes find them.

    Args:
        app: Where that is.
        settings: What the operator decides.
        client: Reaches upstreams.

    Raises:
        ConfigurationError: The settings or the configuration are not usable.
    """
    state = app.state
    state.settings = settings
    config = load_config(settings.config_file, settings.variable)
    state.providers = ProviderFactory(settings, config, client)
    state.catalog = catalog = Catalog(settings, config, state.providers)
    catalog.check()
    state.policy = _policy(settings, catalog)
    state.traces = Traces()
    state.metrics = Metrics()
    state.places = Places(
        settings.max_in_flight, settings.max_queued, settings.queue_timeout
    )
    state.books = None if not settings.has_database else Books(settings)
    state.redis = _redis(settings)
    costs = Costs(catalog.prices, config)
    state.accounts = Accounts(
        state.books and state.books.ledger,
        costs,
        settings.service_name,
        refuses_unpriced=config.unknown_price == "refuse",
    )
    state.shared_counters = None if state.redis is None else SharedCounters(state.redis)
    state.lingering = Lingering(
        [name for name, each in config.providers.items() if each.hung_up == "drain"]
    )
    state.cache = _cache(app, settings, config)
    exchanges = Exchanges(
        state.metrics,
        state.places,
        state.accounts,
        _quotas(app, settings, config, costs),
        state.lingering,
    )
    state.gateway = _gateway(app, settings, config, exchanges)
    state.drain = Drain()
    state.background = Background(state.gateway, state.drain)
    state.responses = ResponseStore(settings.max_stored_bytes)
    state.idempotency = (
        IdempotencyMemory(settings.max_stored_bytes)
        if state.books is None
        else state.books.answers
    )
    rates = RateLimits(settings)
    state.limiter = rates.limiter
    _install_identities(app, settings, rates)


class Part(Protocol):
    """What is opened with the service, and closed after its last call."""

    async def open(self) -> None:
        """Begin; may raise `ConfigurationError`."""
        ...

    async def aclose(self) -> None:
        """Stop."""
        ...


def opened_parts(app: FastAPI) -> list[Part]:
    """List the parts that have to be opened.

    Args:
        app: Has them.

    Returns:
        The parts in their order; they are closed in the opposite one.
    """
    state = app.state
    parts = (state.books, state.redis, state.shared_counters)
    return [part for part in parts if part is not None]


def _redis(settings: Settings) -> Redis | None:
    url = settings.redis_url
    return None if url is None else Redis(url.get_secret_value())


def _policy(settings: Settings, catalog: Catalog) -> Policy:
    return Policy(
        Health(settings.breaker_failures, settings.breaker_cooldown_seconds),
        RetryBudget(),
        Backoff(
            multiplier=settings.retry_multiplier,
            min_seconds=settings.retry_min_seconds,
            max_seconds=settings.retry_max_seconds,
            retry_after_max_seconds=settings.retry_after_max_seconds,
        ),
        catalog.window_of,
    )


def _quotas(
    app: FastAPI, settings: Settings, config: ProxyConfig, costs: Costs
) -> Quotas | None:
    books: Books | None = app.state.books
    shared: SharedCounters | None = app.state.shared_counters
    if books is None:
        # Keys live there too, so that nobody has a limit of their own.
        if config.limits == LimitsConfig():
            return None
        if config.limits.has_budgets:
            raise ConfigurationError("limits: budgets need a database: DATABASE_URL")
    allowances = Allowances(
        shared or LocalCounters(),
        spending=None if books is None else partial(spent, books.database),
        processes=lambda: 1 if shared is None else shared.processes,
        fails_open=settings.budget_failure == "open",
    )
    return Quotas(
        Terms(config.limits),
        allowances,
        costs,
        None if books is None else books.reservations,
        settings.reserved_output_tokens,
    )


def _gateway(
    app: FastAPI, settings: Settings, config: ProxyConfig, exchanges: Exchanges
) -> Gateway:
    pii, injection = config.guardrails.pii, config.guardrails.injection
    guards = Guardrails(
        redact_pii=settings.pii_redaction_enabled if pii is None else pii,
        injection=injection or settings.prompt_guard_mode,
    )
    return Gateway(
        router=Router(app.state.providers, app.state.policy),
        catalog=app.state.catalog,
        inspection=Inspection(guards, app.state.metrics),
        templates=load_templates(settings.prompt_templates_dir),
        cache=app.state.cache,
        exchanges=exchanges,
        stream_seconds=settings.stream_deadline,
    )


def _cache(app: FastAPI, settings: Settings, config: ProxyConfig) -> Cache | None:
    if settings.cache_policy == "off":
        return None
    redis: Redis | None = app.state.redis
    store: Store = MemoryStore(settings.max_cache_bytes)
    if redis is not None:
        store = SharedStore(redis)
    policy = CachePolicy(
        settings.cache_policy, settings.cache_ttl, settings.cached_surfaces
    )
    # Whatever decides over answers besides the question: another answer is due once
    # that has changed.
    rules = (
        __version__,
        config.guardrails,
        settings.pii_redaction_enabled,
        settings.prompt_guard_mode,
    )
    version = hashlib.sha256(repr(rules).encode()).hexdigest()
    return Cache(store, policy, version, app.state.metrics.observe_cache)


def _install_identities(app: FastAPI, settings: Settings, rates: RateLimits) -> None:
    """Make those who know who is calling, and what the API needs of them."""
    books: Books | None = app.state.books
    scraper = settings.metrics_token
    tokens = SettingsTokenStore(
        settings.tokens, None if scraper is None else scraper.get_secret_value()
    )
    ring = None if books is None else books.ring
    app.state.keys = None if books is None else books.keys
    app.state.key_ring = ring
    app.state.access_tokens = _access_tokens(settings)
    app.state.oidc = _oidc(settings)
    identities = Identities(tokens, ring, app.state.access_tokens, app.state.oidc)
    app.state.admission = Admission(identities, rates, settings.allow_query_token)


def _access_tokens(settings: Settings) -> AccessTokens | None:
    secret = settings.jwt_secret_key
    if secret is None:
        return None
    return AccessTokens(
        secret.get_secret_value(),
        max_seconds=settings.jwt_seconds,
        issuer=settings.service_name,
    )


def _oidc(settings: Settings) -> OIDC | None:
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_audience is None:
        raise ConfigurationError("OIDC_AUDIENCE: required with OIDC_ISSUER")
    provider = IdentityProvider(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_roles_claim,
        settings.oidc_default_role,
    )
    # What the environment says of proxies is about upstreams of models, if at all.
    return OIDC(provider, httpx.AsyncClient(timeout=5.0, trust_env=False))

"""Makes the parts of an application, and says in which order they are opened."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import State

from llm_proxy import __version__
from llm_proxy.accounting import Accounts
from llm_proxy.api.admission import Admission
from llm_proxy.api.v1.background import Background
from llm_proxy.books import Books
from llm_proxy.cache import Cache, MemoryStore, Store
from llm_proxy.cache import Policy as CachePolicy
from llm_proxy.config import LimitsConfig, ProxyConfig, load_config
from llm_proxy.drain import Drain
from llm_proxy.exchange import Exchanges
from llm_proxy.gateway import Gateway
from llm_proxy.guardrails import Guardrails
from llm_proxy.idempotency import MemoryStore as IdempotencyMemory
from llm_proxy.inspection import Inspection
from llm_proxy.ledger import Costs, holders, spent
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
from llm_proxy.tasks import load_templates
from llm_proxy.telemetry import Metrics
from llm_proxy.transport import UpstreamClient

if TYPE_CHECKING:
    from pydantic import SecretStr

    from llm_proxy.cache.semantic import SemanticIndex
    from llm_proxy.storage.redis import Redis


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
    state.catalog = Catalog(settings, config, state.providers)
    state.catalog.check()
    state.policy = _policy(settings, state.catalog)
    state.traces = Traces()
    state.metrics = Metrics()
    _install_memory(state, settings, config)
    _install_road(state, settings, config)
    _install_identities(state, settings, client)


def _install_memory(state: State, settings: Settings, config: ProxyConfig) -> None:
    """Make what remembers more than the call under way."""
    state.books = Books(settings) if settings.has_database else None
    state.redis = _redis(settings)
    state.shared_counters = _shared_counters(state.redis, state.books)
    state.cache = _cache(state, settings, config)
    state.responses = ResponseStore(settings.max_stored_bytes)
    state.idempotency = IdempotencyMemory(settings.max_stored_bytes)
    if state.books is not None:
        state.idempotency = state.books.answers


def _install_road(state: State, settings: Settings, config: ProxyConfig) -> None:
    """Make what a call passes on its way."""
    costs = Costs(state.catalog.prices, config)
    state.accounts = Accounts(
        state.books and state.books.ledger,
        costs,
        settings.service_name,
        refuses_unpriced=config.unknown_price == "refuse",
    )
    state.places = Places(
        settings.max_in_flight, settings.max_queued, settings.queue_timeout
    )
    state.lingering = Lingering(
        [name for name, each in config.providers.items() if each.hung_up == "drain"]
    )
    exchanges = Exchanges(
        state.metrics,
        state.places,
        state.accounts,
        _quotas(state, settings, config, costs),
        state.lingering,
    )
    state.gateway = _gateway(state, settings, config, exchanges)
    state.drain = Drain()
    state.background = Background(state.gateway, state.drain)


def _redis(settings: Settings) -> Redis | None:
    if settings.redis_url is None:
        return None
    # It brings SQLAlchemy with the rest of the storage, which takes long.
    from llm_proxy.storage.redis import Redis

    return Redis(settings.redis_url.get_secret_value())


def _shared_counters(redis: Redis | None, books: Books | None) -> SharedCounters | None:
    if redis is None:
        return None
    if books is None:
        return SharedCounters(redis)
    # The database remembers who has set money aside if Redis forgets it.
    others = partial(holders, books.database)
    return SharedCounters(redis, books.reservations.process, others=others)


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
    state: State, settings: Settings, config: ProxyConfig, costs: Costs
) -> Quotas | None:
    books: Books | None = state.books
    shared: SharedCounters | None = state.shared_counters
    # Otherwise they are counted at the edge, with all that never becomes a call.
    is_shared = shared is not None and settings.rate_limit_enabled
    if books is None:
        if config.limits.has_budgets:
            raise ConfigurationError("limits: budgets need a database: DATABASE_URL")
        # Keys live there too, so that nobody has a limit of their own.
        if config.limits == LimitsConfig() and not is_shared:
            return None
    allowances = Allowances(
        shared or LocalCounters(),
        spending=None if books is None else partial(spent, books.database),
        processes=lambda: 1 if shared is None else shared.processes,
        fails_open=settings.budget_failure == "open",
    )
    return Quotas(
        Terms(config.limits, settings.rate_limit if is_shared else None),
        allowances,
        costs,
        None if books is None else books.reservations,
        settings.reserved_output_tokens,
    )


def _gateway(
    state: State, settings: Settings, config: ProxyConfig, exchanges: Exchanges
) -> Gateway:
    pii, injection = config.guardrails.pii, config.guardrails.injection
    guards = Guardrails(
        redact_pii=settings.pii_redaction_enabled if pii is None else pii,
        injection=injection or settings.prompt_guard_mode,
    )
    return Gateway(
        router=Router(state.providers, state.policy),
        catalog=state.catalog,
        inspection=Inspection(guards, state.metrics),
        templates=load_templates(settings.prompt_templates_dir),
        cache=state.cache,
        exchanges=exchanges,
        stream_seconds=settings.stream_deadline,
    )


def _cache(state: State, settings: Settings, config: ProxyConfig) -> Cache | None:
    if settings.cache_policy == "off":
        return None
    redis: Redis | None = state.redis
    store: Store = MemoryStore(settings.max_cache_bytes)
    flights = None
    if redis is not None:
        from llm_proxy.cache.shared import SharedStore
        from llm_proxy.cache.shared_flights import SharedFlights

        store = SharedStore(redis)
        flights = SharedFlights(redis, store)
    policy = CachePolicy(
        settings.cache_policy, settings.cache_ttl, settings.cached_surfaces
    )
    # Whatever decides over answers besides the question: another answer is due once
    # that has changed.
    rules = (
        __version__,
        config.guardrails,
        state.providers.status(),
        settings.pii_redaction_enabled,
        settings.prompt_guard_mode,
    )
    version = hashlib.sha256(repr(rules).encode()).hexdigest()
    index = _semantic_index(settings.semantic_cache_threshold)
    return Cache(store, policy, version, state.metrics.observe_cache, index, flights)


def _semantic_index(threshold: float | None) -> SemanticIndex | None:
    if threshold is None:
        return None
    # Nobody else needs them: they come with a model of 70 MB.
    from llm_proxy.cache.meaning import Meaning, load_model
    from llm_proxy.cache.semantic import SemanticIndex

    return SemanticIndex(Meaning(load_model()), threshold)


def _install_identities(
    state: State, settings: Settings, client: UpstreamClient
) -> None:
    """Make those who know who is calling, and what the API needs of them."""
    rates = RateLimits(settings)
    state.limiter = rates.limiter
    books: Books | None = state.books
    tokens = SettingsTokenStore(
        settings.tokens,
        _text(settings.metrics_token),
        pepper=_text(settings.jwt_secret_key),
    )
    ring = None if books is None else books.ring
    state.keys = None if books is None else books.keys
    state.key_ring = ring
    state.access_tokens = _access_tokens(settings)
    state.oidc = _oidc(settings, client)
    identities = Identities(tokens, ring, state.access_tokens, state.oidc)
    state.admission = Admission(identities, rates, settings.allow_query_token)


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _access_tokens(settings: Settings) -> AccessTokens | None:
    secret = _text(settings.jwt_secret_key)
    if secret is None:
        return None
    return AccessTokens(
        secret,
        max_seconds=settings.jwt_seconds,
        issuer=settings.service_name,
    )


def _oidc(settings: Settings, client: UpstreamClient) -> OIDC | None:
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
    return OIDC(provider, client)

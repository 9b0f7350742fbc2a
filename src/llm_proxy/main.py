"""The composition root: the only place that names concrete classes and wires them.

``uvicorn llm_proxy.main:app`` serves the application that the environment describes;
importing this module reads nothing and starts nothing.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache

import httpx
from fastapi import FastAPI

from llm_proxy import __version__
from llm_proxy.accounting import Accounts
from llm_proxy.api.admission import Admission, admit_anyone
from llm_proxy.api.cors import CrossOrigin
from llm_proxy.api.edge import Edge
from llm_proxy.api.errors import FaultBoundary, install_error_handlers
from llm_proxy.api.openapi import describe_app
from llm_proxy.api.routes import install_routes
from llm_proxy.api.v1.background import Background
from llm_proxy.books import Books
from llm_proxy.config import ProxyConfig, load_config
from llm_proxy.drain import Drain
from llm_proxy.exchange import Exchanges
from llm_proxy.gateway import Gateway
from llm_proxy.guardrails import Guardrails
from llm_proxy.ledger import Costs
from llm_proxy.limits import Places, RateLimits
from llm_proxy.providers import ProviderFactory
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
from llm_proxy.security import ClientAddress, SettingsTokenStore
from llm_proxy.setting_rules import parse_networks
from llm_proxy.settings import ConfigurationError, Settings, load_settings
from llm_proxy.tasks import load_templates
from llm_proxy.telemetry import LogConfig, Metrics, configure_logging, get_logger
from llm_proxy.transport import UpstreamClient
from llm_proxy.variables import HOSTED
from llm_proxy.web import install_docs

_EXPOSED_HEADERS = (
    "Request-ID",
    "Retry-After",
    "X-LLM-Proxy-Attempts",
    "X-LLM-Proxy-Dropped",
    "X-LLM-Proxy-Model",
    "X-LLM-Proxy-Trace",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
    "X-Should-Retry",
    "X-Upstream-Request-ID",
)


def create_app(
    settings: Settings | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Build an application that shares nothing with any other.

    Args:
        settings: Default: what the environment says.
        transport: Carries requests to upstreams; tests put their own here.

    Returns:
        The application.

    Raises:
        ConfigurationError: The settings or the configuration are not usable.
    """
    settings = settings or load_settings()
    _configure_logging(settings)
    app = FastAPI(
        title=settings.service_name,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect would lose the body or the token of a POST.
        redirect_slashes=False,
        lifespan=_lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    _install_parts(app, settings, UpstreamClient(transport))
    install_error_handlers(app, app.state.admission)
    install_routes(app)
    if settings.docs_enabled:
        install_docs(
            app,
            cache(lambda: describe_app(app)),
            lambda request: admit_anyone(request, "api"),
        )
    _install_middleware(app, settings)
    return app


def _install_parts(app: FastAPI, settings: Settings, client: UpstreamClient) -> None:
    """Make the parts and leave them where the routes find them."""
    config = load_config(settings.config_file, settings.variable)
    factory = ProviderFactory(settings, config, client)
    catalog = Catalog(settings, config, factory)
    catalog.check()
    metrics = Metrics()
    rates = RateLimits(settings)
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.providers = factory
    app.state.catalog = catalog
    app.state.policy = _policy(settings, catalog)
    app.state.traces = Traces()
    app.state.places = Places(
        settings.max_in_flight, settings.max_queued, settings.queue_timeout
    )
    router = Router(factory, app.state.policy)
    app.state.books = books = _books(settings)
    app.state.accounts = books and Accounts(
        books.ledger,
        Costs(catalog.prices, config),
        settings.service_name,
        refuses_unpriced=config.unknown_price == "refuse",
    )
    app.state.gateway = _gateway(settings, config, router, app)
    app.state.drain = drain = Drain()
    app.state.admission = _admission(settings, rates)
    root = next(iter(settings.tokens))
    app.state.may_see_all = lambda principal: principal.name == root
    app.state.responses = ResponseStore(settings.max_stored_bytes)
    app.state.background = Background(app.state.gateway, drain)
    app.state.limiter = rates.limiter


def _install_middleware(app: FastAPI, settings: Settings) -> None:
    # The last one added is the outermost.
    app.add_middleware(FaultBoundary)
    app.add_middleware(
        CrossOrigin,
        allow_origins=settings.cors_origins,
        allow_methods=["DELETE", "GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=_EXPOSED_HEADERS,
    )
    app.add_middleware(
        Edge,
        addresses=ClientAddress(parse_networks(settings.trusted_proxies)),
        metrics=app.state.metrics,
    )


def _configure_logging(settings: Settings) -> None:
    configure_logging(
        LogConfig(
            service=settings.service_name,
            environment=settings.environment,
            level=settings.effective_log_level,
            format=settings.effective_log_format,
            file=settings.log_file,
            max_bytes=settings.log_max_bytes,
            backup_count=settings.log_backup_count,
        )
    )


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


def _gateway(
    settings: Settings, config: ProxyConfig, router: Router, app: FastAPI
) -> Gateway:
    pii, injection = config.guardrails.pii, config.guardrails.injection
    return Gateway(
        router=router,
        catalog=app.state.catalog,
        guards=Guardrails(
            redact_pii=settings.pii_redaction_enabled if pii is None else pii,
            injection=injection or settings.prompt_guard_mode,
        ),
        templates=load_templates(settings.prompt_templates_dir),
        exchanges=Exchanges(
            app.state.metrics,
            settings.service_name,
            app.state.places,
            app.state.accounts,
        ),
        stream_seconds=settings.stream_deadline,
    )


def _books(settings: Settings) -> Books | None:
    url = settings.database_url
    if url is None:
        return None
    return Books(url.get_secret_value(), settings.spool_dir)


def _admission(settings: Settings, rates: RateLimits) -> Admission:
    scrape_tokens = dict(settings.tokens)
    if settings.metrics_token is not None:
        scrape_tokens["metrics"] = settings.metrics_token.get_secret_value()
    return Admission(
        SettingsTokenStore(settings.tokens),
        SettingsTokenStore(scrape_tokens),
        rates,
        settings.allow_query_token,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    settings: Settings = app.state.settings
    log = get_logger(__name__)
    log.info(
        "started",
        version=__version__,
        provider=settings.llm_provider,
        tokens=sorted(settings.tokens),
        rate_limit=settings.rate_limit if settings.rate_limit_enabled else None,
        pii_redaction=settings.pii_redaction_enabled,
        prompt_guard=settings.prompt_guard_mode,
    )
    books: Books | None = app.state.books
    if books is not None:
        await books.open(upgrades=settings.environment not in HOSTED)
    # It reads the price catalogue, for which no request should have to wait.
    listing = asyncio.create_task(asyncio.to_thread(app.state.catalog.listed))
    try:
        yield
    finally:
        app.state.drain.begin()
        await listing
        await app.state.background.aclose()
        await app.state.providers.aclose()
        if books is not None:
            await books.aclose()
        log.info("stopped")


def __getattr__(name: str) -> FastAPI:
    """Build ``app`` when a server asks for it, so that importing needs no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return create_app()
    except ConfigurationError as error:
        sys.exit(f"llm-proxy cannot start:\n{error}")

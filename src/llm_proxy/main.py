"""The composition root: the only place that names concrete classes and wires them.

``uvicorn llm_proxy.main:app`` serves the application that the environment describes;
importing this module reads nothing and starts nothing.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI

from llm_proxy import __version__
from llm_proxy.api.admission import admit_anyone
from llm_proxy.api.cors import CrossOrigin
from llm_proxy.api.edge import Edge
from llm_proxy.api.errors import FaultBoundary, install_error_handlers
from llm_proxy.api.openapi import describe_service
from llm_proxy.api.routes import install_routes
from llm_proxy.books import Books
from llm_proxy.limits import SharedCounters
from llm_proxy.security import ClientAddress
from llm_proxy.setting_rules import parse_networks
from llm_proxy.settings import ConfigurationError, Settings, load_settings
from llm_proxy.telemetry import LogConfig, configure_logging, get_logger
from llm_proxy.transport import UpstreamClient
from llm_proxy.web import install_docs
from llm_proxy.wiring import install_parts

if TYPE_CHECKING:
    from llm_proxy.storage.redis import Redis

_EXPOSED_HEADERS = (
    "Age",
    "Idempotent-Replayed",
    "Request-ID",
    "Retry-After",
    "X-LLM-Proxy-Attempts",
    "X-LLM-Proxy-Budget-Warning",
    "X-LLM-Proxy-Cache",
    "X-LLM-Proxy-Cost",
    "X-LLM-Proxy-Dropped",
    "X-LLM-Proxy-Model",
    "X-LLM-Proxy-Trace",
    "X-RateLimit-Limit",
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Limit-Tokens",
    "X-RateLimit-Remaining",
    "X-RateLimit-Remaining-Requests",
    "X-RateLimit-Remaining-Tokens",
    "X-RateLimit-Reset",
    "X-RateLimit-Reset-Requests",
    "X-RateLimit-Reset-Tokens",
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
    install_parts(app, settings, UpstreamClient(transport))
    install_error_handlers(app, app.state.admission)
    install_routes(app)
    if settings.docs_enabled:
        install_docs(
            app,
            cache(describe_service),
            lambda request: admit_anyone(request, "api"),
        )
    _install_middleware(app, settings)
    return app


def _install_middleware(app: FastAPI, settings: Settings) -> None:
    # The last one added is the outermost.
    app.add_middleware(FaultBoundary)
    app.add_middleware(
        CrossOrigin,
        allow_origins=settings.cors_origins,
        allow_methods=["DELETE", "GET", "OPTIONS", "PATCH", "POST"],
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
    async with AsyncExitStack() as stack:
        stack.callback(log.info, "stopped")
        await _open_memory(app, stack)
        # It reads the price catalogue, for which no request should have to wait.
        listing = asyncio.create_task(asyncio.to_thread(app.state.catalog.listed))
        try:
            yield
        finally:
            app.state.drain.begin()
            await listing
            await app.state.background.aclose()
            await app.state.lingering.aclose()
            if app.state.oidc is not None:
                await app.state.oidc.aclose()
            await app.state.providers.aclose()


async def _open_memory(app: FastAPI, stack: AsyncExitStack) -> None:
    """Open what remembers more than the call under way, and close it in the end."""
    books: Books | None = app.state.books
    if books is not None:
        await books.open()
        stack.push_async_callback(books.aclose)
    redis: Redis | None = app.state.redis
    shared: SharedCounters | None = app.state.shared_counters
    if redis is not None and shared is not None:
        # A Redis that is away is found later, by whoever needs it.
        stack.push_async_callback(redis.aclose)
        await shared.open()
        stack.push_async_callback(shared.aclose)


def __getattr__(name: str) -> FastAPI:
    """Build ``app`` when a server asks for it, so that importing needs no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return create_app()
    except ConfigurationError as error:
        sys.exit(f"llm-proxy cannot start:\n{error}")

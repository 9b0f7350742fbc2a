"""`llm-proxy serve`: uvicorn in this process, set up for a service behind a proxy."""

import gc
import math
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from llm_proxy.http_protocol import EdgeLimits, http_protocol
from llm_proxy.telemetry import settle_logging

__all__ = ["EdgeLimits", "ServerConfig", "serve"]

# Longer than the 60 s of common load balancers: the side that reuses the connection
# has to be the side that closes it.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
_COLLECT_EVERY = 20_000


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How `serve` listens and stops.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        on_drain: Called first on SIGTERM and SIGINT, inside the signal handler: it may
            set a flag and no more.
        on_ready: Called once connections are accepted.
        shutdown_timeout: Seconds that running requests get to finish.
        limits: Bounds on every connection.
    """

    host: str
    port: int
    on_drain: Callable[[], None]
    shutdown_timeout: float
    limits: EdgeLimits
    on_ready: Callable[[], None] = lambda: None


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the service first that it is to stop."""

    def __init__(self, uvicorn_config: uvicorn.Config, config: ServerConfig) -> None:
        super().__init__(uvicorn_config)
        self._on_drain = config.on_drain
        self._on_ready = config.on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _spare_the_collector()
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own handler would also raise the signal again at the end, and a
        # drained service exits with 0.
        self._on_drain()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _spare_the_collector() -> None:
    """Take what start-up has made out of the garbage collector's rounds.

    A request makes a thousand short-lived objects. With Python's own threshold of 700
    the collector would look through the service for each of them, for 100 µs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 20, 50)


def serve(app: ASGIApp, config: ServerConfig) -> None:
    """Runs the service in this process until it is told to stop.

    It uses uvloop where that is installed. Addresses of clients are left alone: the
    application resolves them from the proxies it trusts.

    Args:
        app: The application.
        config: Where to listen and how to stop.

    Raises:
        SystemExit: The service could not start.
    """
    server = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        http=http_protocol(config.limits),
        ws="none",
        lifespan="on",
        workers=1,
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(config.shutdown_timeout),
        reset_contextvars=True,
    )
    settle_logging()
    _check_port(config)
    _Server(server, config).run()


def _check_port(config: ServerConfig) -> None:
    """Try the port first, because uvicorn's own failure hides among other lines."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        socket.create_server((config.host, config.port), family=family).close()
    except OSError as error:
        sys.exit(
            f"llm-proxy cannot listen on {config.host}:{config.port}: {error.strerror}."
            " Choose another port with PORT=8001 or so."
        )

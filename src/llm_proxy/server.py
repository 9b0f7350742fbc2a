"""`llm-proxy serve`: uvicorn in this process, set up for a service behind a proxy."""

import asyncio
import ctypes
import gc
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Protocol, cast

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.drain import Drain
from llm_proxy.http_protocol import EdgeLimits, http_protocol
from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger, settle_logging

if sys.platform != "win32":
    import resource

__all__ = ["EdgeLimits", "ServerConfig", "serve"]

# Longer than the 60 s of common load balancers: the side that reuses the connection
# has to be the side that closes it.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
# As uvicorn ends in that case, and not 1 as for wrong settings.
_CANNOT_LISTEN = 3
_COLLECT_EVERY = 20_000
# Of the time to stop: for the last words of what is cut, and for what closes then.
_LAST_SHARE = 0.2
_LAST_SECONDS = 3.0
# For callers to take what was written for them before nothing else was left to do.
_FLUSH_SECONDS = 5.0
_TICK_SECONDS = 0.05
# malloc.h of glibc: the free memory at the top of the heap from which it is given back.
_TRIM_THRESHOLD = -1
_TRIM_BYTES = 1024 * 1024

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How `serve` listens and stops.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        drain: Begins on SIGTERM and SIGINT.
        shutdown_timeout: Seconds from then until the process has ended; in the last
            of them what still runs is cut.
        limits: Bounds on connections.
        on_ready: Called once connections are accepted.
    """

    host: str
    port: int
    drain: Drain
    shutdown_timeout: float
    limits: EdgeLimits
    on_ready: Callable[[], None] = lambda: None


class _Connection(Protocol):
    """What `http_protocol` makes, as far as it has to stop."""

    transport: asyncio.Transport

    def close_after_answer(self) -> None: ...

    def cut(self) -> None: ...

    def shutdown(self) -> None: ...


class _Server(uvicorn.Server):
    """uvicorn's server, which goes on listening until nothing runs any more.

    A load balancer has to find the listener open, to be told by `/readyz` that it
    should look elsewhere.
    """

    def __init__(self, uvicorn_config: uvicorn.Config, config: ServerConfig) -> None:
        super().__init__(uvicorn_config)
        self._drain = config.drain
        self._on_ready = config.on_ready
        self._seconds = config.shutdown_timeout
        self._last_seconds = min(_LAST_SECONDS, _LAST_SHARE * self._seconds)
        self._stop_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _spare_the_collector()
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own handler would also raise the signal again at the end, and a
        # drained service exits with 0.
        self._drain.begin()
        if not self.should_exit:
            self._stop_at = time.monotonic() + self._seconds
        elif sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def main_loop(self) -> None:
        await super().main_loop()
        _log.info("draining", running=len(self._drain.running))
        for connection in self._connections:
            connection.close_after_answer()
        await self._wait_while(self._is_busy, self._stop_at - self._last_seconds)
        if self._is_busy():
            _log.warning("drain_cut", running=len(self._drain.running))
            self._drain.cut()
            for connection in self._connections:
                connection.cut()
            await self._wait_while(
                self._is_busy, self._stop_at - self._last_seconds / 2
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in self._connections:
            connection.shutdown()
        state = self.server_state
        limit = self._stop_at - self._last_seconds / 2
        flushed_by = min(limit, time.monotonic() + _FLUSH_SECONDS)
        await self._wait_while(lambda: bool(state.connections), flushed_by)
        for connection in self._connections:
            connection.transport.abort()
        for task in tuple(state.tasks):
            task.cancel()
        await self._wait_while(
            lambda: bool(state.tasks), limit + self._last_seconds / 4
        )
        if not self.force_exit:
            await self._close_application()

    @property
    def _connections(self) -> list[_Connection]:
        return cast("list[_Connection]", list(self.server_state.connections))

    def _is_busy(self) -> bool:
        return bool(self.server_state.tasks or self._drain.running)

    async def _wait_while(self, condition: Callable[[], bool], until: float) -> None:
        while condition() and not self.force_exit and time.monotonic() < until:
            await asyncio.sleep(_TICK_SECONDS)
            # It keeps the date right that stands in every answer.
            await self.on_tick(0)

    async def _close_application(self) -> None:
        left = max(self._stop_at - time.monotonic(), _TICK_SECONDS)
        try:
            async with asyncio.timeout(left):
                await self.lifespan.shutdown()
        except TimeoutError:
            _log.error("shutdown_incomplete")


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
        ConfigurationError: What the application finds wrong when it starts.
        SystemExit: The service could not start; with status 3 if it cannot listen.
    """
    refusals = _Refusals(app)
    server = uvicorn.Config(
        refusals,
        host=config.host,
        port=config.port,
        interface="asgi3",
        http=http_protocol(config.limits, config.drain),
        ws="none",
        lifespan="on",
        workers=1,
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        reset_contextvars=True,
    )
    settle_logging()
    _keep_the_heap_small()
    _raise_file_limit(config.limits.max_connections)
    _check_port(config)
    try:
        _Server(server, config).run()
    except SystemExit:
        if refusals.error is None:
            raise
    if refusals.error is not None:
        raise refusals.error


class _Refusals:
    """Keeps why an application does not start, which is a sentence and no traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.error: ConfigurationError | None = None
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            return self._app(scope, receive, send)
        return self._live(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed: list[Message] = []

        async def send_later(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, send_later)
        except ConfigurationError as error:
            self.error = error
            await send({"type": "lifespan.startup.failed", "message": ""})
        except BaseException:
            for message in failed:
                await send(message)
            raise


def _keep_the_heap_small() -> None:
    """Make glibc give memory back.

    After blocks of megabytes it keeps as many for later, in case there are more.
    """
    if sys.platform != "linux":
        return
    # Other C libraries have no such function, and no such habit.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)


def _check_port(config: ServerConfig) -> None:
    """Try the port first, because uvicorn's own failure hides among other lines."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        socket.create_server((config.host, config.port), family=family).close()
    except OSError as error:
        sys.stderr.write(
            f"llm-proxy cannot listen on {config.host}:{config.port}: {error.strerror}."
            " Choose another port with PORT=8001 or so.\n"
        )
        sys.exit(_CANNOT_LISTEN)


def _raise_file_limit(connections: int) -> None:
    """Allow as many open files as the system lets us, for each connection is one."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft != resource.RLIM_INFINITY and soft < connections:
        _log.warning("file_limit_low", open_files=soft, max_connections=connections)

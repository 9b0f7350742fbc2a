"""httpx's transport over our own connections: pooled, bounded in time, cheap.

httpx's built-in pool costs 1200 to 2000 µs of CPU per call, the more the more calls are
open (LIBRARIES.md §1), and aiohttp's 165 µs where this one costs 55.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator

import httpx

from llm_proxy.transport.http1 import Connection

_Origin = tuple[str, str, int]


class PoolTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests over HTTP/1.1 connections that are used again.

    It follows no redirect, keeps no cookie, reads no proxy from the environment and
    hands out body bytes exactly as they came: nothing is decompressed. Cancelling a
    call, or closing a response before its end, closes the upstream connection.

    Args:
        keepalive_seconds: How long an idle connection is kept.
        max_idle: Idle connections that are kept per upstream.
        tls: The TLS context; None for httpx's, which trusts what certifi does.
    """

    def __init__(
        self,
        *,
        keepalive_seconds: float = 30.0,
        max_idle: int = 512,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._keepalive_seconds = keepalive_seconds
        self._max_idle = max_idle
        self._tls = tls
        self._idle: dict[_Origin, deque[Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return once the response's head has arrived.

        Args:
            request: Its ``timeout`` extension gives ``connect`` (DNS, TCP and TLS
                together) and ``read`` (silence, before the head and between chunks)
                in seconds; None means no bound.

        Returns:
            The response with its body unread.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: Nothing was sent.
            httpx.ReadTimeout: The upstream was silent for too long.
            httpx.RemoteProtocolError, httpx.ReadError: It was lost on the way.
            httpx.LocalProtocolError: The request cannot be written as HTTP.
        """
        timeout = request.extensions.get("timeout") or {}
        message = (_head(request, body := await request.aread()), body)
        origin = _origin(request.url)
        connection = self._take(origin)
        if connection is None:
            connection = await self._connect(origin, timeout.get("connect"))
        try:
            await connection.send(message, timeout.get("read"))
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            connection.status,
            headers=connection.headers,
            stream=_Body(self, origin, connection),
        )

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    def give_back(self, origin: _Origin, connection: Connection) -> None:
        """Keep a connection for the next request, if it is still good for one.

        Args:
            origin: Where it leads.
            connection: Its exchange has ended, in whatever way.
        """
        idle = self._idle.setdefault(origin, deque())
        # The oldest stand on the left, and the busiest come from the right.
        while idle and self._is_stale(idle[0]):
            idle.popleft().close()
        if connection.is_reusable and len(idle) < self._max_idle:
            idle.append(connection)
        else:
            connection.close()

    def _take(self, origin: _Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not self._is_stale(connection):
                return connection
            connection.close()
        return None

    def _is_stale(self, connection: Connection) -> bool:
        age = asyncio.get_running_loop().time() - connection.idle_since
        return not connection.is_reusable or age > self._keepalive_seconds

    async def _connect(self, origin: _Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        tls = None
        if scheme == "https":
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
            tls = self._tls
        elif scheme != "http":
            raise httpx.UnsupportedProtocol(f"the scheme is {scheme!r}")
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, host, port, ssl=tls
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx.ConnectError(type(error).__name__) from error
        return connection


class _Body(httpx.AsyncByteStream):
    """The unread body of a response, as it comes off the socket."""

    def __init__(
        self, pool: PoolTransport, origin: _Origin, connection: Connection
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._connection: Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (data := await self._connection.read()):
            yield data

    async def aclose(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._pool.give_back(self._origin, connection)


def _origin(url: httpx.URL) -> _Origin:
    default = 443 if url.scheme == "https" else 80
    return url.scheme, url.host, url.port or default


def _head(request: httpx.Request, body: bytes) -> bytes:
    """Write the request line and the header fields (RFC 9112, 3 and 5)."""
    url = request.url
    lines = [
        b"%b %b HTTP/1.1" % (request.method.encode("ascii"), url.raw_path),
        b"Host: " + url.netloc,
        b"Content-Length: %d" % len(body),
    ]
    for name, value in request.headers.raw:
        if name.lower() not in (b"host", b"content-length", b"transfer-encoding"):
            lines.append(name + b": " + value)
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise httpx.LocalProtocolError("a header field has a line end in it")
    return head + b"\r\n\r\n"

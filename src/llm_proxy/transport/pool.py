"""httpx's transport over our own connections: pooled, bounded in time, cheap.

httpx's built-in pool costs over a millisecond of CPU per call, and the more the more
calls are open; one over aiohttp costs about 90 µs more than this one.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator

import httpx

from llm_proxy.transport.http1 import Connection

# The responses to HEAD and CONNECT cannot be told apart from others by their bytes.
_METHODS = frozenset({"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"})

_Origin = tuple[str, str, int]


class PoolTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests over HTTP/1.1 connections that are used again.

    It follows no redirect, keeps no cookie and hands out body bytes exactly as they
    came: nothing is decompressed. Proxies from the environment are not supported, nor
    are credentials in the URL; ``Host`` is always the URL's. Cancelling a call, or
    closing a response before its end, closes the upstream connection.

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
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

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
            httpx.UnsupportedProtocol: The URL's scheme is not HTTP.
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
            stream=PooledBody(self, origin, connection),
        )

    async def aclose(self) -> None:
        """Close the idle connections; the others close when their response does."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()
        # The loop closes the sockets of what was dropped one turn later.
        await asyncio.sleep(0)

    def give_back(self, origin: _Origin, connection: Connection) -> None:
        """Keep a connection for the next request, if it is still good for one.

        Args:
            origin: Where it leads.
            connection: Its exchange has ended, in whatever way.
        """
        if self._is_closed or not connection.is_reusable:
            connection.close()
            return
        idle = self._idle.setdefault(origin, deque())
        if len(idle) >= self._max_idle:
            connection.close()
            return
        idle.append(connection)
        if self._sweeper is None:
            self._sweep_later()

    def _take(self, origin: _Origin) -> Connection | None:
        """Take the connection that was used last, so that the others can grow old."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            age = asyncio.get_running_loop().time() - connection.idle_since
            # Bytes that are there before the request would be taken for its response.
            if self._is_fresh(connection, age) and not connection.has_input():
                return connection
            connection.close()
        return None

    def _is_fresh(self, connection: Connection, age: float) -> bool:
        return connection.is_reusable and age <= self._keepalive_seconds

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self._keepalive_seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long, also at upstreams no longer asked."""
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for origin, idle in list(self._idle.items()):
            fresh = deque[Connection]()
            for connection in idle:
                if self._is_fresh(connection, now - connection.idle_since):
                    fresh.append(connection)
                else:
                    connection.close()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep_later()

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
        except (OSError, UnicodeError, OverflowError) as error:
            # The latter two are a host and a port that cannot be looked up.
            raise httpx.ConnectError(type(error).__name__) from error
        return connection


class PooledBody(httpx.AsyncByteStream):
    """The unread body of a response, as it comes off the socket."""

    def __init__(
        self, pool: PoolTransport, origin: _Origin, connection: Connection
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._connection: Connection | None = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Read what the network brings next."""
        if self._connection is None:
            raise httpx.StreamClosed
        if data := await self._connection.read():
            return data
        raise StopAsyncIteration

    def limit_silence(self, seconds: float | None) -> None:
        """Change how long the upstream may be silent.

        Args:
            seconds: So long; None for no bound.
        """
        if self._connection is not None:
            self._connection.limit_silence(seconds)

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body has not ended."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._pool.give_back(self._origin, connection)


def _origin(url: httpx.URL) -> _Origin:
    default = 443 if url.scheme == "https" else 80
    # The raw host is the one with A-labels, of which TLS and DNS agree.
    return url.scheme, url.raw_host.decode("ascii"), url.port or default


def _head(request: httpx.Request, body: bytes) -> bytes:
    """Write the request line and the header fields (RFC 9112, 3 and 5)."""
    if request.method not in _METHODS:
        raise httpx.LocalProtocolError("the method is not supported")
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
    line_ends = len(lines) - 1
    if (
        head.count(b"\n") != line_ends
        or head.count(b"\r") != line_ends
        or b"\0" in head
    ):
        raise httpx.LocalProtocolError("a header field has a line end or NUL in it")
    return head + b"\r\n\r\n"

"""The httpx transport over aiohttp: one pool, time-outs, httpx's own errors.

httpx's built-in pool costs over a millisecond of CPU per call and more the more calls
are open (LIBRARIES.md §1); aiohttp's costs a tenth of that and stays flat.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any, cast

import aiohttp
import httpx
import yarl
from multidict import CIMultiDict

# The first row that fits decides. The first two mean that nothing was sent, so asking
# again cannot bill twice; the others leave that open.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (Exception, httpx.ReadError),
)
_CAUGHT = (aiohttp.ClientError, OSError, TimeoutError)


class AioHTTPTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests over one aiohttp connection pool.

    It follows no redirect, keeps no cookie, reads no proxy from the environment and
    hands out body bytes exactly as they came: nothing is decompressed. Cancelling a
    call, or closing a response before its end, closes the upstream connection.

    Args:
        max_connections: Open connections over all hosts; 0 for no bound.
        keepalive_seconds: How long an idle connection is kept.
        verify: The TLS context; None for the system's trust store.
    """

    def __init__(
        self,
        *,
        max_connections: int = 0,
        keepalive_seconds: float = 30.0,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

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
        """
        session = self._session or self._open()
        timeout = request.extensions.get("timeout") or {}
        headers = CIMultiDict(
            (name.decode("ascii"), value.decode("ascii"))
            for name, value in request.headers.raw
        )
        try:
            response = await session.request(
                request.method,
                _parse_url(str(request.url)),
                data=await request.aread(),
                headers=headers,
                allow_redirects=False,
                timeout=_client_timeout(timeout.get("connect"), timeout.get("read")),
            )
        except _CAUGHT as error:
            raise _translate(error, request) from error
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        """Make the pool; it needs the running event loop, so not before first use."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=self._keepalive_seconds,
                ssl=self._verify if self._verify is not None else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            trust_env=False,
        )
        return self._session


class UpstreamClient(httpx.AsyncClient):
    """httpx's client for calls to upstreams, with nothing between it and the transport.

    A call to an API needs no cookies, redirects, auth flows or proxy look-up, on which
    `httpx.AsyncClient.send` spends 75 µs of CPU. The request and response types, the
    mounting of other transports and respx's hook stay those of httpx.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(transport=transport or AioHTTPTransport(), trust_env=False)

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **_: object
    ) -> httpx.Response:
        """Send a request that is complete as it stands.

        Args:
            request: With its headers, body and ``timeout`` extension.
            stream: Leave the body unread; the caller closes the response.

        Returns:
            The response, whatever its status.

        Raises:
            httpx.TransportError: As the transport says.
        """
        transport = self._transport_for_url(request.url)
        response = await transport.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


def raw_body(response: httpx.Response) -> AsyncIterator[bytes]:
    """Iterate a body as it comes off the wire; ``aiter_raw`` without its book-keeping.

    Args:
        response: Its body must be unread; the caller closes it.

    Returns:
        What each read from the network brought.
    """
    return aiter(cast(httpx.AsyncByteStream, response.stream))


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read a body that fits, as it came off the wire.

    Args:
        response: Its body must be unread.
        max_bytes: The most bytes to take.

    Returns:
        The bytes, not decompressed.

    Raises:
        BodyTooLargeError: There were more.
        httpx.TransportError: The connection failed.
    """
    parts: list[bytes] = []
    size = 0
    async for part in raw_body(response):
        size += len(part)
        if size > max_bytes:
            raise BodyTooLargeError
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class BodyTooLargeError(Exception):
    """A response's body is over the bound."""


class _Body(httpx.AsyncByteStream):
    """The unread body of a response, as it comes off the socket."""

    def __init__(
        self, response: aiohttp.ClientResponse, request: httpx.Request
    ) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read: Callable[[], Any] = self._response.content.readany
        try:
            while chunk := await read():
                yield chunk
        except _CAUGHT as error:
            raise _translate(error, self._request) from error

    async def aclose(self) -> None:
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


@lru_cache(maxsize=1024)
def _parse_url(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)


@lru_cache(maxsize=1024)
def _client_timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)


def _translate(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Say an aiohttp error in httpx's words."""
    kind = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
    return kind(str(error) or type(error).__name__, request=request)

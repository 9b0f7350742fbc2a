"""The client that carries requests to upstreams."""

from collections.abc import AsyncIterator
from typing import cast

import httpx

from llm_proxy.transport.pool import PooledBody, PoolTransport


class UpstreamClient(httpx.AsyncClient):
    """httpx's client for calls to upstreams, with nothing between it and the transport.

    A call to an API needs no cookies, redirects, auth flows or proxy look-up, on which
    `httpx.AsyncClient.send` spends 75 µs of CPU. The request and response types, the
    mounting of other transports and respx's hook stay those of httpx.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(transport=transport or PoolTransport(), trust_env=False)

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


def limit_silence(response: httpx.Response, seconds: float | None) -> None:
    """Change how long the upstream may be silent from here on.

    Args:
        response: Its body is being read.
        seconds: So long; None for no bound.
    """
    if isinstance(response.stream, PooledBody):
        response.stream.limit_silence(seconds)


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

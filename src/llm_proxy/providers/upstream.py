"""One upstream API over HTTP: requests go out, bytes or errors of ours come back."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import suppress
from typing import TypeVar

import httpx

from llm_proxy import __version__
from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMStreamBrokenError,
    ProviderNotConfiguredError,
)
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.faults import (
    from_fault,
    from_status,
    from_transport,
    stream_faults,
)
from llm_proxy.providers.message import Beginning, Outgoing, media_type_of
from llm_proxy.providers.travelling import Headers, hide_key, travelling_headers
from llm_proxy.transport import (
    BodyTooLargeError,
    limit_silence,
    raw_body,
    read_body,
)
from llm_proxy.wire import UpstreamFaultError, WireError

_MAX_ERROR_BYTES = 64 * 1024
_LINGER_SECONDS = 0.1
_MOST_URLS = 16
# A token of four letters travels in some two hundred bytes of JSON.
_FRAMING = 64

T = TypeVar("T")
Signer = Callable[[httpx.URL, bytes], Awaitable[Mapping[str, str]]]


class Upstream:
    """Talks to one upstream.

    Args:
        connection: How to reach it.
        key_headers: Carry the provider key.
        sign: Makes the headers that depend on the request; None if there are none.

    Raises:
        ProviderNotConfiguredError: The upstream needs a key and there is none, or
            one that no header can carry.
    """

    def __init__(
        self,
        connection: Connection,
        key_headers: Mapping[str, str],
        sign: Signer | None = None,
    ) -> None:
        if connection.key_name and not connection.api_key:
            raise ProviderNotConfiguredError(
                f"The provider {connection.name!r} is not configured on this server",
                log_detail=f"{connection.key_name} is not set",
            )
        key = connection.api_key or ""
        if not (key.isascii() and key.isprintable()):
            raise ProviderNotConfiguredError(
                log_detail=f"the key of {connection.name!r} is not printable ASCII"
            )
        self.name = connection.name
        self._connection = connection
        self._sign = sign
        self._most_streamed = connection.max_body_bytes * _FRAMING
        self._urls: dict[str, httpx.URL] = {}
        self._headers = httpx.Headers(
            {
                "content-type": "application/json",
                "accept-encoding": "identity",
                "user-agent": f"llm-proxy/{__version__}",
                **key_headers,
            }
        )
        self._headers.update(connection.headers)
        timeouts = connection.timeouts
        self._extensions = {
            "timeout": {"connect": timeouts.connect, "read": timeouts.first_token}
        }

    async def send(self, message: Outgoing) -> httpx.Response:
        """Send a request.

        Args:
            message: The request.

        Returns:
            The response, a success, with its body unread; the caller closes it.

        Raises:
            APIError: It could not be sent, or what came back is an error.
        """
        connection = self._connection
        url = await self._url(message.path)
        request = httpx.Request(
            message.method,
            url,
            headers=await self._headers_of(message, url),
            # As a stream, because for `content` httpx would write the two headers
            # that the transport writes anyway.
            stream=httpx.ByteStream(message.body),
            extensions=self._extensions,
        )
        try:
            response = await connection.client.send(request, stream=True)
        except httpx.TransportError as error:
            raise from_transport(error, self.name) from error
        if response.status_code == httpx.codes.OK:
            if response.headers.get("content-encoding", "identity") == "identity":
                return response
            await response.aclose()
            raise self.bad_response("compressed although identity was asked")
        try:
            raise await self._read_error(response)
        finally:
            await response.aclose()

    async def ask(
        self, message: Outgoing, decoder: Callable[[bytes], T]
    ) -> tuple[T, httpx.Response]:
        """Send a request and read the complete JSON answer.

        Args:
            message: The request.
            decoder: Reads the answer; may raise `WireError`.

        Returns:
            What `decoder` makes of the answer, and the response, which is closed.

        Raises:
            APIError: There is no answer, it did not all come, or it is an error.
        """
        response = await self.send(message)
        try:
            return decoder(await self._read(response, message.large)), response
        except UpstreamFaultError as fault:
            failure = from_fault(fault, self.name)
            raise hide_key(failure, self._connection.api_key) from fault
        except WireError as error:
            raise self.bad_response(str(error)) from error
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, large: bool) -> bytes:
        self.check_json(response)
        connection = self._connection
        most = connection.max_relay_bytes if large else connection.max_body_bytes
        try:
            return await read_body(response, most)
        except httpx.TimeoutException as error:
            raise from_transport(error, self.name) from error
        except httpx.TransportError as error:
            # The answer was made and is paid for: asking again would pay twice.
            raise LLMStreamBrokenError(
                provider=self.name, log_detail=type(error).__name__
            ) from error
        except BodyTooLargeError as error:
            raise self.bad_response("the body is too large") from error

    async def stream(
        self, message: Outgoing, begin: Callable[[httpx.Response], Beginning[T]]
    ) -> AsyncGenerator[Sequence[T], None]:
        """Send a request and hand out the answer as it comes.

        Args:
            message: The request.
            begin: Looks at the response's head and says who reads the rest.

        Yields:
            What each read from the network brought, if it was anything.

        Raises:
            APIError: There is no answer, or it broke, is not whole, or is an error.
        """
        response = await self.send(message)
        try:
            first, reader, has_content = begin(response)
            if first:
                yield first
            size = 0
            is_waiting = True
            body = raw_body(response)
            with stream_faults(self.name):
                async for data in body:
                    if batch := reader.feed(data):
                        if is_waiting and any(map(has_content, batch)):
                            is_waiting = False
                            limit_silence(response, self._connection.timeouts.idle)
                        yield batch
                    size += len(data)
                    if size > self._most_streamed:
                        raise WireError("the stream is too large")
                    if reader.done:
                        break
                if batch := reader.close():
                    yield batch
                await _read_to_end(body)
        except APIError as error:
            hide_key(error, self._connection.api_key)
            raise
        finally:
            await response.aclose()

    def check_json(self, response: httpx.Response) -> None:
        """Make sure that a response claims to be JSON, or claims nothing.

        Args:
            response: The response.

        Raises:
            LLMBadResponseError: It is something else.
        """
        media_type = media_type_of(response)
        if media_type and not media_type.endswith("json"):
            raise self.bad_response("the content type is not JSON")

    def travelling(self, response: httpx.Response) -> Headers:
        """Pick the headers that callers see; see `travelling_headers`."""
        return travelling_headers(response, self._connection.api_key)

    def bad_response(self, why: str) -> LLMBadResponseError:
        """Make the error of an answer that is none.

        Args:
            why: For operators.

        Returns:
            The error to raise.
        """
        return LLMBadResponseError(provider=self.name, log_detail=why)

    async def _url(self, path: str) -> httpx.URL:
        server = self._connection.server
        if server is not None:
            return httpx.URL(await server.start() + path)
        url = self._urls.get(path)
        if url is None:
            url = httpx.URL(self._connection.base_url + path)
            # Paths of conversations are few; those of stored responses are not.
            if len(self._urls) < _MOST_URLS:
                self._urls[path] = url
        return url

    async def _headers_of(self, message: Outgoing, url: httpx.URL) -> httpx.Headers:
        headers = self._headers
        if message.headers or self._sign or message.content_type != "application/json":
            own = [("content-type", message.content_type), *message.headers]
            names = {name for name, _ in own}
            kept = [item for item in headers.multi_items() if item[0] not in names]
            # Callers' headers may have any bytes; they came decoded as Latin-1.
            headers = httpx.Headers([*kept, *own], encoding="latin-1")
            if self._sign is not None:
                headers.update(await self._sign(url, message.body))
        return headers

    async def _read_error(self, response: httpx.Response) -> APIError:
        try:
            body = await read_body(response, _MAX_ERROR_BYTES)
        except (BodyTooLargeError, httpx.TransportError):
            body = b""
        detail = self._connection.dialect.decode_error(body)
        error = from_status(response.status_code, detail, self.name, response.headers)
        error.headers = self.travelling(response)
        return hide_key(error, self._connection.api_key)


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, so that the connection can be used again.

    The answer is whole already, so whatever goes wrong here is nobody's concern.
    """
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in body:
                pass

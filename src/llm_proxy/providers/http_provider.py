"""The one way in which a provider talks to an upstream over HTTP."""

import asyncio
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

from llm_proxy import __version__
from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMContentFilteredError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    ProviderNotConfiguredError,
)
from llm_proxy.providers.base import LLMProvider
from llm_proxy.providers.faults import from_status, from_transport
from llm_proxy.providers.loopback import LoopbackServer
from llm_proxy.transport import BodyTooLargeError, UpstreamClient, raw_body, read_body
from llm_proxy.types import ChatRequest, ChatResponse, Chunk
from llm_proxy.wire import Dialect, UpstreamFaultError, WireError

_MAX_ERROR_BYTES = 64 * 1024
_EVENT_STREAM = "text/event-stream"
_LINGER_SECONDS = 0.1
# A token of four letters travels in some two hundred bytes of JSON.
_FRAMING = 64


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one upstream.

    Attributes:
        name: The provider's name.
        dialect: What the upstream speaks.
        client: Carries the requests; shared by all providers.
        base_url: Where the dialect's paths begin; unused when there is a `server`.
        api_key: The provider key.
        key_name: The variable that should hold the key; empty if none is needed.
        headers: Headers that every request carries besides the provider's own.
        server: An upstream of our own, started on first use.
        connect_timeout: Seconds for DNS, TCP and TLS together.
        read_timeout: Seconds that the upstream may be silent.
        max_body_bytes: The most bytes of a complete answer.
    """

    name: str
    dialect: Dialect
    client: UpstreamClient
    base_url: str = ""
    api_key: str | None = field(default=None, repr=False)
    key_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    server: LoopbackServer | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    max_body_bytes: int = 10 * 1024 * 1024


class HTTPProvider(LLMProvider):
    """A provider whose upstream is an HTTP API; subclasses add their key's headers.

    Args:
        model: The upstream's name of the model.
        connection: How to reach the upstream.

    Raises:
        ProviderNotConfiguredError: The upstream needs a key and there is none, or
            one that no header can carry.
    """

    def __init__(self, model: str, connection: Connection) -> None:
        super().__init__(model)
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
        self._connection = connection
        self._url = httpx.URL(connection.base_url + connection.dialect.path)
        self._headers = httpx.Headers(
            {
                "content-type": "application/json",
                "accept-encoding": "identity",
                "user-agent": f"llm-proxy/{__version__}",
                **self.key_headers(connection.api_key),
            }
        )
        self._headers.update(connection.headers)
        self._extensions = {
            "timeout": {
                "connect": connection.connect_timeout,
                "read": connection.read_timeout,
                "write": connection.read_timeout,
                "pool": connection.connect_timeout,
            }
        }

    @staticmethod
    @abstractmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands.

        Args:
            api_key: The provider key; None where the upstream needs none.

        Returns:
            Header names and values.
        """

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once, without retries; see `LLMProvider.complete`."""
        response = await self._send(request, stream=False)
        try:
            return await self._read_answer(response)
        finally:
            await response.aclose()

    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once and hand out the answer as it comes; see `LLMProvider.stream`."""
        response = await self._send(request, stream=True)
        finish_reason = ""
        has_text = False
        text_size = wire_size = 0
        max_bytes = self._connection.max_body_bytes
        try:
            if not _content_type(response).startswith(_EVENT_STREAM):
                yield [_as_chunk(await self._read_answer(response))]
                return
            decoder = self._connection.dialect.stream_decoder()
            body = raw_body(response)
            with self._stream_faults():
                async for data in body:
                    wire_size += len(data)
                    if chunks := decoder.feed(data):
                        for chunk in chunks:
                            has_text = has_text or bool(chunk.text.strip())
                            finish_reason = chunk.finish_reason or finish_reason
                            text_size += len(chunk.text)
                        yield chunks
                    if text_size > max_bytes or wire_size > max_bytes * _FRAMING:
                        raise WireError("the stream is too large")
                    if decoder.done:
                        break
                decoder.close()
                await _read_to_end(body)
            if not has_text:
                raise self._empty(finish_reason)
        finally:
            await response.aclose()

    async def _send(self, request: ChatRequest, *, stream: bool) -> httpx.Response:
        """Send the request and return the response if it is a success."""
        connection = self._connection
        url = self._url
        if connection.server is not None:
            url = httpx.URL(await connection.server.start() + connection.dialect.path)
        body = connection.dialect.encode_request(self.model, request, stream)
        try:
            response = await connection.client.send(
                httpx.Request(
                    "POST",
                    url,
                    headers=self._headers,
                    # As a stream, because for `content` httpx would write the two
                    # headers that the transport writes anyway.
                    stream=httpx.ByteStream(body),
                    extensions=self._extensions,
                ),
                stream=True,
            )
        except httpx.TransportError as error:
            raise from_transport(error, connection.name) from error
        if response.status_code == httpx.codes.OK:
            if response.headers.get("content-encoding", "identity") == "identity":
                return response
            await response.aclose()
            raise self._bad_response("compressed although identity was asked")
        try:
            raise await self._read_error(response)
        finally:
            await response.aclose()

    async def _read_error(self, response: httpx.Response) -> APIError:
        connection = self._connection
        try:
            body = await read_body(response, _MAX_ERROR_BYTES)
        except (BodyTooLargeError, httpx.TransportError):
            body = b""
        detail = connection.dialect.decode_error(body)
        return from_status(
            response.status_code, detail, connection.name, response.headers
        )

    async def _read_answer(self, response: httpx.Response) -> ChatResponse:
        media_type = _content_type(response).partition(";")[0].rstrip()
        if media_type and not media_type.endswith("json"):
            raise self._bad_response("the content type is not JSON")
        connection = self._connection
        try:
            body = await read_body(response, connection.max_body_bytes)
            answer = connection.dialect.decode_response(body)
        except httpx.TimeoutException as error:
            raise from_transport(error, connection.name) from error
        except httpx.TransportError as error:
            # The answer was made and is paid for: asking again would pay twice.
            raise LLMStreamBrokenError(
                provider=connection.name, log_detail=type(error).__name__
            ) from error
        except BodyTooLargeError as error:
            raise self._bad_response("the body is too large") from error
        except UpstreamFaultError as fault:
            raise self._from_fault(fault) from fault
        except WireError as error:
            raise self._bad_response(str(error)) from error
        if not answer.text.strip():
            raise self._empty(answer.finish_reason)
        return answer

    @contextmanager
    def _stream_faults(self) -> Generator[None]:
        """Say in our words what goes wrong while a stream is read."""
        name = self._connection.name
        try:
            yield
        except httpx.ReadTimeout as error:
            raise LLMTimeoutError(provider=name, log_detail="idle stream") from error
        except httpx.TransportError as error:
            raise LLMStreamBrokenError(
                provider=name, log_detail=type(error).__name__
            ) from error
        except UpstreamFaultError as fault:
            raise self._from_fault(fault) from fault
        except WireError as error:
            raise LLMStreamBrokenError(provider=name, log_detail=str(error)) from error

    def _from_fault(self, fault: UpstreamFaultError) -> APIError:
        detail = fault.detail
        return from_status(detail.status or 500, detail, self._connection.name)

    def _bad_response(self, why: str) -> LLMBadResponseError:
        return LLMBadResponseError(provider=self._connection.name, log_detail=why)

    def _empty(self, finish_reason: str) -> LLMBadResponseError:
        if finish_reason in ("content_filter", "refusal"):
            return LLMContentFilteredError(provider=self._connection.name)
        return self._bad_response(f"no text, finish_reason={finish_reason}")


def _as_chunk(answer: ChatResponse) -> Chunk:
    return Chunk(answer.text, answer.finish_reason, answer.usage, answer.model)


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).lower()


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, so that the connection can be used again.

    The answer is whole already, so whatever goes wrong here is nobody's concern.
    """
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in body:
                pass

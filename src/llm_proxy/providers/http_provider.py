"""A provider whose upstream is an HTTP API."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence

import httpx

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMContentFilteredError,
    UnsupportedFeatureError,
)
from llm_proxy.providers.base import Errand, LLMProvider, translate
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.message import Outgoing
from llm_proxy.providers.travelling import Headers, travelling_headers
from llm_proxy.providers.upstream import Upstream, content_type
from llm_proxy.types import ChatRequest, ChatResponse, Chunk
from llm_proxy.wire import Encoded, Inquiry, Passage, RelayDialect, scatter

_EVENT_STREAM = "text/event-stream"


class HTTPProvider(LLMProvider):
    """A provider whose upstream is an HTTP API; subclasses add their key's headers.

    Args:
        model: The upstream's name of the model.
        connection: How to reach the upstream.

    Raises:
        ProviderNotConfiguredError: See `Upstream`.
    """

    def __init__(self, model: str, connection: Connection) -> None:
        super().__init__(model)
        self._connection = connection
        self._dialect = connection.dialect
        self._upstream = Upstream(
            connection,
            self.key_headers(connection.api_key),
            self.sign if type(self).sign is not HTTPProvider.sign else None,
        )

    @staticmethod
    @abstractmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands.

        Args:
            api_key: The provider key; None where the upstream needs none.

        Returns:
            Header names and values.
        """

    async def sign(self, url: httpx.URL, body: bytes) -> Mapping[str, str]:
        """Write the headers that depend on the request; most APIs have none.

        Args:
            url: Where the request goes.
            body: What it carries.

        Returns:
            Header names and values.
        """
        raise NotImplementedError

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once, without retries; see `LLMProvider.complete`."""
        response = await self._send(self._encode(request, stream=False), stream=False)
        try:
            answer = await self._read_answer(response)
        finally:
            await response.aclose()
        if not answer.text.strip():
            raise self._empty(answer.finish_reason)
        return answer

    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once and hand out the answer as it comes; see `LLMProvider.stream`."""
        response = await self._send(self._encode(request, stream=True), stream=True)
        finish_reason = ""
        has_text = False
        size = 0
        try:
            async for batch in self._read_chunks(response):
                for chunk in batch:
                    has_text = has_text or bool(chunk.text.strip())
                    finish_reason = chunk.finish_reason or finish_reason
                    size += len(chunk.text)
                yield batch
                if size > self._connection.max_body_bytes:
                    raise self._upstream.bad_response("the stream is too large")
            if not has_text:
                raise self._empty(finish_reason)
        finally:
            await response.aclose()

    def relays(self, dialect: str) -> bool:
        """Say whether the upstream speaks a dialect; see `LLMProvider.relays`."""
        return dialect in self._connection.relays

    async def relay(self, inquiry: Inquiry) -> Passage:
        """Ask once, in the caller's dialect if possible; see `LLMProvider.relay`."""
        upstream = self._upstream
        dialect = self._connection.relays.get(inquiry.surface.name)
        if dialect is not None:
            response = await upstream.send(self._relayed(dialect, inquiry))
            try:
                body = await upstream.read(response, patient=True)
            finally:
                await response.aclose()
            passage = upstream.decode(dialect.observe, body)
            return passage._replace(headers=travelling_headers(response))
        encoded = self._encode(inquiry.request, stream=False)
        response = await self._send(encoded, stream=False, patient=True)
        try:
            answer = await self._read_answer(response, patient=True)
        finally:
            await response.aclose()
        return Passage(
            inquiry.surface.encode_response(answer, inquiry.asked),
            has_content=True,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            model=answer.model,
            headers=_notes(response, encoded),
        )

    async def relay_stream(
        self, inquiry: Inquiry
    ) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask once and hand out what comes; see `LLMProvider.relay_stream`."""
        upstream = self._upstream
        dialect = self._connection.relays.get(inquiry.surface.name)
        if dialect is None:
            encoded = self._encode(inquiry.request, stream=True)
            response = await self._send(encoded, stream=True, patient=True)
        else:
            encoded = Encoded(b"")
            response = await upstream.send(self._relayed(dialect, inquiry))
        try:
            yield [Passage(b"", headers=_notes(response, encoded))]
            if dialect is not None and content_type(response).startswith(_EVENT_STREAM):
                reader = dialect.passage_reader(inquiry.asked.fields)
                async for passages in upstream.read_stream(response, reader):
                    yield passages
            else:
                async for passages in translate(inquiry, self._read_chunks(response)):
                    yield passages
        finally:
            await response.aclose()

    async def forward(self, errand: Errand) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask an endpoint besides chat; see `LLMProvider.forward`."""
        if errand.dialect not in self._connection.relays:
            raise UnsupportedFeatureError(
                f"The provider {self._connection.name!r} does not offer {errand.path}"
            )
        upstream = self._upstream
        message = Outgoing(
            errand.path,
            errand.body_for(self.model),
            errand.headers,
            patient=True,
            content_type=errand.content_type,
            method=errand.method,
        )
        response = await upstream.send(message)
        try:
            headers = (
                (b"content-type", content_type(response).encode("latin-1")),
                *travelling_headers(response),
            )
            yield [Passage(b"", headers=headers)]
            if errand.observe is not None:
                answer = await upstream.read(response, patient=True)
                yield [upstream.decode(errand.observe, answer)]
            else:
                async for data in upstream.read_raw(response):
                    yield [Passage(data, has_content=True)]
        finally:
            await response.aclose()

    def _encode(self, request: ChatRequest, *, stream: bool) -> Encoded:
        return self._dialect.encode_request(self.model, request, stream)

    async def _send(
        self, encoded: Encoded, *, stream: bool, patient: bool = False
    ) -> httpx.Response:
        path = self._dialect.path(self.model, stream)
        return await self._upstream.send(Outgoing(path, encoded.body, (), patient))

    def _relayed(self, dialect: RelayDialect, inquiry: Inquiry) -> Outgoing:
        fields = inquiry.asked.fields
        body = dialect.relay_request(inquiry.body, fields, self.model)
        path = dialect.path(self.model, inquiry.stream)
        return Outgoing(path, body, inquiry.headers, patient=True)

    async def _read_answer(
        self, response: httpx.Response, *, patient: bool = False
    ) -> ChatResponse:
        body = await self._upstream.read(response, patient=patient)
        return self._upstream.decode(self._dialect.decode_response, body)

    async def _read_chunks(
        self, response: httpx.Response
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        if not content_type(response).startswith(self._dialect.stream_type):
            # Some upstreams do not stream, whatever they are asked.
            yield scatter(await self._read_answer(response))
            return
        decoder = self._dialect.stream_decoder()
        async for chunks in self._upstream.read_stream(response, decoder):
            yield chunks

    def _empty(self, finish_reason: str) -> LLMBadResponseError:
        if finish_reason in ("content_filter", "refusal"):
            return LLMContentFilteredError(provider=self._connection.name)
        return self._upstream.bad_response(f"no text, finish_reason={finish_reason}")


def _notes(response: httpx.Response, encoded: Encoded) -> Headers:
    headers = travelling_headers(response)
    if encoded.dropped:
        dropped = ", ".join(encoded.dropped).encode("ascii", "replace")
        headers += ((b"x-llm-proxy-dropped", dropped),)
    return headers

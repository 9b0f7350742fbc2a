"""A provider whose upstream is an HTTP API."""

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence

import httpx

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMContentFilteredError,
    UnsupportedFeatureError,
)
from llm_proxy.providers.base import Errand, LLMProvider
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.message import (
    Beginning,
    Outgoing,
    StreamReader,
    media_type_of,
)
from llm_proxy.providers.readers import (
    RawBytes,
    TextWanted,
    Translated,
    Translator,
    WholeAnswer,
)
from llm_proxy.providers.travelling import Headers
from llm_proxy.providers.upstream import Upstream
from llm_proxy.types import FILTERED, ChatRequest, ChatResponse, Chunk
from llm_proxy.wire import Dialect, Encoded, Inquiry, Passage, RelayDialect, scatter

_EVENT_STREAM = "text/event-stream"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMES = 32


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
        self._v1_dialect = connection.v1_dialect or connection.dialect
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
        encoded = self._dialect.encode_request(self.model, request, False)
        message = self._outgoing(encoded, stream=False)
        answer, _ = await self._upstream.ask(message, self._dialect.decode_response)
        if not answer.text.strip():
            raise self._empty(answer.finish_reason)
        return answer

    def stream(self, request: ChatRequest) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once and hand out the answer as it comes; see `LLMProvider.stream`."""
        encoded = self._dialect.encode_request(self.model, request, True)

        def begin(response: httpx.Response) -> Beginning[Chunk]:
            most = self._connection.max_body_bytes
            decoder = self._decoder(response, self._dialect)
            return Beginning((), TextWanted(decoder, self._empty, most), _says)

        return self._upstream.stream(self._outgoing(encoded, stream=True), begin)

    @property
    def has_key(self) -> bool:
        """Whether a key of the operator's opens it; see `LLMProvider.has_key`."""
        connection = self._connection
        # Upstreams of our own have keys that nobody else knows.
        return connection.api_key is not None and connection.server is None

    def converse(self, request: ChatRequest) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once as for callers of `/v1`; see `LLMProvider.converse`."""
        encoded = self._v1_dialect.encode_request(self.model, request, True)

        def begin(response: httpx.Response) -> Beginning[Chunk]:
            return Beginning((), self._decoder(response, self._v1_dialect), _says)

        message = self._outgoing(encoded, stream=True, large=True)
        return self._upstream.stream(message, begin)

    def check(self, inquiry: Inquiry) -> None:
        """Say whether the model can be asked; see `LLMProvider.check`."""
        if not self.relays(inquiry.surface.name):
            self._translate(inquiry)

    def relays(self, dialect: str) -> bool:
        """Say whether the upstream speaks a dialect; see `LLMProvider.relays`."""
        return dialect in self._connection.relays

    async def relay(self, inquiry: Inquiry) -> Passage:
        """Ask once, in the caller's dialect if possible; see `LLMProvider.relay`."""
        upstream = self._upstream
        dialect = self._connection.relays.get(inquiry.surface.name)
        if dialect is not None:
            message = self._relayed(dialect, inquiry)
            passage, response = await upstream.ask(message, dialect.observe)
            return passage._replace(headers=upstream.travelling(response))
        encoded = self._translate(inquiry)
        message = self._outgoing(encoded, stream=False, large=True)
        answer, response = await upstream.ask(message, self._v1_dialect.decode_response)
        return Passage(
            inquiry.surface.encode_response(answer, inquiry.asked),
            has_content=True,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            model=answer.model,
            headers=_notes(upstream.travelling(response), encoded),
        )

    def relay_stream(self, inquiry: Inquiry) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask once and hand out what comes; see `LLMProvider.relay_stream`."""
        dialect = self._connection.relays.get(inquiry.surface.name)
        if dialect is None:
            encoded = self._translate(inquiry)
            message = self._outgoing(encoded, stream=True, large=True)
        else:
            encoded = Encoded(b"")
            message = self._relayed(dialect, inquiry)

        def begin(response: httpx.Response) -> Beginning[Passage]:
            reader: StreamReader[Passage]
            if dialect is not None and media_type_of(response) == dialect.stream_type:
                reader = dialect.passage_reader(inquiry.asked.fields)
            else:
                decoder = self._decoder(response, dialect or self._v1_dialect)
                reader = Translated(decoder, Translator(inquiry))
            notes = _notes(self._upstream.travelling(response), encoded)
            return Beginning((Passage(b"", headers=notes),), reader, _has_content)

        return self._upstream.stream(message, begin)

    def forward(self, errand: Errand) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask an endpoint besides chat; see `LLMProvider.forward`."""
        if errand.dialect not in self._connection.relays:
            raise UnsupportedFeatureError(
                f"The provider {self._connection.name!r} does not offer {errand.path}"
            )
        message = Outgoing(
            errand.path,
            errand.body_for(self.model),
            errand.headers,
            large=True,
            content_type=errand.content_type,
            method=errand.method,
        )

        def begin(response: httpx.Response) -> Beginning[Passage]:
            # As httpx has decoded it, which is not always by the same encoding.
            content_type = response.headers.get("content-type", "").encode(
                response.headers.encoding
            )
            headers = (
                (b"content-type", content_type),
                *self._upstream.travelling(response),
            )
            reader = self._errand_reader(errand, response)
            return Beginning((Passage(b"", headers=headers),), reader, _has_content)

        return self._upstream.stream(message, begin)

    def _errand_reader(
        self, errand: Errand, response: httpx.Response
    ) -> StreamReader[Passage]:
        media_type = media_type_of(response)
        if errand.reader is not None and media_type == _EVENT_STREAM:
            return errand.reader()
        if errand.raw and not media_type.endswith(("json", "html")):
            return RawBytes()
        self._upstream.check_json(response)
        most = self._connection.max_relay_bytes
        return WholeAnswer(lambda body: (errand.observe(body),), most)

    def _translate(self, inquiry: Inquiry) -> Encoded:
        request = inquiry.request
        dialect = self._v1_dialect
        encoded = dialect.encode_request(self.model, request, inquiry.stream)
        return encoded._replace(dropped=(*encoded.dropped, *request.unknown))

    def _outgoing(
        self, encoded: Encoded, *, stream: bool, large: bool = False
    ) -> Outgoing:
        path = self._dialect.path(self.model, stream)
        return Outgoing(path, encoded.body, (), large)

    def _relayed(self, dialect: RelayDialect, inquiry: Inquiry) -> Outgoing:
        fields = inquiry.asked.fields
        body = dialect.relay_request(inquiry.body, fields, self.model)
        path = dialect.path(self.model, inquiry.stream)
        return Outgoing(path, body, inquiry.headers, large=True)

    def _decoder(
        self, response: httpx.Response, dialect: Dialect
    ) -> StreamReader[Chunk]:
        if media_type_of(response) == dialect.stream_type:
            return dialect.stream_decoder()
        # Some upstreams do not stream, whatever they are asked.
        self._upstream.check_json(response)
        most = self._connection.max_relay_bytes
        return WholeAnswer(lambda body: scatter(dialect.decode_response(body)), most)

    def _empty(self, finish_reason: str) -> LLMBadResponseError:
        if finish_reason in FILTERED:
            return LLMContentFilteredError(provider=self._connection.name)
        return self._upstream.bad_response(f"no text, finish_reason={finish_reason}")


def _says(chunk: Chunk) -> bool:
    return bool(chunk.text or chunk.delta)


def _has_content(passage: Passage) -> bool:
    return passage.has_content


def _notes(travelling: Headers, encoded: Encoded) -> Headers:
    headers = travelling
    # Some are a caller's own words, which could be anything.
    names = [name for name in encoded.dropped if _NAME.fullmatch(name)][:_MOST_NAMES]
    if names:
        headers += ((b"x-llm-proxy-dropped", ", ".join(names).encode("ascii")),)
    return headers

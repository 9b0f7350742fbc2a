"""Google's Gemini API."""

from collections.abc import AsyncGenerator, Mapping, Sequence

import orjson

from llm_proxy.providers.base import Errand
from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.providers.message import Outgoing
from llm_proxy.wire import Passage
from llm_proxy.wire.gemini import (
    decode_embeddings,
    embeddings_path,
    encode_embeddings,
)
from llm_proxy.wire.openai_embeddings import (
    read_dimensions,
    read_texts,
    write_embeddings,
)


class GeminiProvider(HTTPProvider):
    """Sends the key as ``x-goog-api-key``: a key in the URL would stand in logs."""

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        return {"x-goog-api-key": api_key} if api_key else {}

    async def forward(self, errand: Errand) -> AsyncGenerator[Sequence[Passage], None]:
        """Turn texts into vectors; there is nothing else; see `LLMProvider.forward`."""
        if errand.path == "/embeddings":
            body, headers = await self._embed(errand.body_for(self.model))
            yield [errand.observe(body)._replace(headers=headers)]
            return
        async for passages in super().forward(errand):
            yield passages

    async def _embed(
        self, asked: bytes
    ) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """Translate a request for embeddings in OpenAI's dialect, and its answer."""
        fields = orjson.loads(asked)
        texts = read_texts(fields)
        body = encode_embeddings(self.model, texts, read_dimensions(fields))
        upstream = self._upstream
        message = Outgoing(embeddings_path(self.model), body, large=True)
        vectors, response = await upstream.ask(message, decode_embeddings)
        if len(vectors) != len(texts):
            raise upstream.bad_response("not one embedding per text")
        json_type = (b"content-type", b"application/json")
        written = write_embeddings(self.model, vectors)
        return written, (json_type, *upstream.travelling(response))

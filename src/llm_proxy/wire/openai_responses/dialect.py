"""The Responses API from the client's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.dialect import Encoded, ErrorDetail, Passage
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.openai_responses.answer_reader import decode_response
from llm_proxy.wire.openai_responses.relay import ResponsesPassageReader, observe
from llm_proxy.wire.openai_responses.request_writer import write_request
from llm_proxy.wire.openai_responses.stream_reader import ResponsesStreamReader
from llm_proxy.wire.splice import splice


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """The dialect; a `RelayDialect`.

    Attributes:
        name: What the format is called.
        stream_type: The media type of streamed answers.
    """

    name: ClassVar[str] = "openai_responses"
    stream_type: ClassVar[str] = "text/event-stream"

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL."""
        return "/responses"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body; `UnsupportedFeatureError` if it cannot be said."""
        return write_request(model, request, stream)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer; may raise `WireError`."""
        return decode_response(body)

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> ResponsesStreamReader:
        """Make the decoder of one stream."""
        return ResponsesStreamReader()

    def relay_request(
        self, body: bytes, fields: Mapping[str, Any], model: str
    ) -> bytes:
        """Change the model in a caller's body, and nothing else."""
        if fields.get("model") == model:
            return body
        return splice(body, {"model": orjson.dumps(model)}, fields)

    def observe(self, body: bytes) -> Passage:
        """Look at a complete answer; may raise `WireError`."""
        return observe(body)

    def passage_reader(self, fields: Mapping[str, Any]) -> ResponsesPassageReader:
        """Make the reader of one stream that passes through."""
        return ResponsesPassageReader()

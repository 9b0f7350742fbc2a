"""The Responses API from the server's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from llm_proxy.errors import APIError
from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.openai_chat.surface import OpenAISurface
from llm_proxy.wire.openai_responses.errors import encode_error, error_event
from llm_proxy.wire.openai_responses.request_reader import check_request, read_request
from llm_proxy.wire.openai_responses.response_writer import encode_response
from llm_proxy.wire.openai_responses.stream_writer import ResponsesStreamWriter
from llm_proxy.wire.surface import Asked, ErrorAnswer


@dataclass(frozen=True, slots=True)
class OpenAIResponsesSurface(OpenAISurface):
    """The dialect as callers speak it; a `Surface`.

    Attributes:
        name: What the format is called.
    """

    name: ClassVar[str] = "openai_responses"

    def check_request(self, fields: Mapping[str, Any]) -> None:
        """Refuse what no upstream could answer, with `InvalidInputError`."""
        check_request(fields)

    def decode_request(self, fields: Mapping[str, Any]) -> ChatRequest:
        """Read a request; may raise `InvalidInputError`, `UnsupportedFeatureError`."""
        return read_request(fields)

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Write a complete answer."""
        return encode_response(response, asked)

    def stream_encoder(self, asked: Asked) -> ResponsesStreamWriter:
        """Make the encoder of one stream."""
        return ResponsesStreamWriter(asked)

    def encode_error(self, error: APIError, request_id: str) -> ErrorAnswer:
        """Write an error."""
        return encode_error(error, request_id)

    def error_event(self, error: APIError, request_id: str) -> bytes:
        """Write the error that ends a stream."""
        return error_event(error, request_id)

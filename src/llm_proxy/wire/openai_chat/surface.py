"""OpenAI's chat completions from the server's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from llm_proxy.errors import APIError
from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.openai_chat.answer_writer import write_response
from llm_proxy.wire.openai_chat.errors import encode_error, error_event
from llm_proxy.wire.openai_chat.request_reader import check_request, read_request
from llm_proxy.wire.openai_chat.stream_writer import ChatStreamWriter
from llm_proxy.wire.surface import Asked, ErrorAnswer


@dataclass(frozen=True, slots=True)
class OpenAISurface:
    """What all of OpenAI's APIs say alike; a part of `Surface`.

    Attributes:
        keepalive: What a stream says while there is nothing to say.
    """

    keepalive: ClassVar[bytes] = b": keep-alive\n\n"

    def encode_error(self, error: APIError, request_id: str) -> ErrorAnswer:
        """Write an error."""
        return encode_error(error, request_id)

    def error_event(self, error: APIError, request_id: str) -> bytes:
        """Write the error that ends a stream."""
        return error_event(error, request_id)


@dataclass(frozen=True, slots=True)
class OpenAIChatSurface(OpenAISurface):
    """The dialect as callers know it; the methods do what `Surface` says."""

    name: ClassVar[str] = "openai_chat"

    def check_request(self, fields: Mapping[str, Any]) -> None:
        """Refuse what no upstream could answer, with `InvalidInputError`."""
        check_request(fields)

    def decode_request(self, fields: Mapping[str, Any]) -> ChatRequest:
        """Read a request; may raise `InvalidInputError`, `UnsupportedFeatureError`."""
        return read_request(fields)

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Write a complete answer."""
        return write_response(response, asked)

    def stream_encoder(self, asked: Asked) -> ChatStreamWriter:
        """Make the encoder of one stream."""
        return ChatStreamWriter(asked)

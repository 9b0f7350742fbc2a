"""Anthropic's messages API from the server's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_proxy.errors import APIError
from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.anthropic_messages.answers import write_answer
from llm_proxy.wire.anthropic_messages.client import NAME
from llm_proxy.wire.anthropic_messages.errors import write_error, write_error_event
from llm_proxy.wire.anthropic_messages.request_reader import (
    check_request,
    read_request,
)
from llm_proxy.wire.anthropic_messages.stream_writer import (
    AnthropicStreamEncoder,
    write_event,
)
from llm_proxy.wire.surface import Asked, ErrorAnswer


@dataclass(frozen=True, slots=True)
class AnthropicSurface:
    """The dialect, as `Surface`.

    Attributes:
        name: What the format is called.
        keepalive: What a stream says while there is nothing to say.
    """

    name: str = NAME
    keepalive: bytes = write_event("ping", {})

    def check_request(self, fields: Mapping[str, Any]) -> None:
        """Refuse what no upstream could answer; see `check_request`."""
        check_request(fields)

    def decode_request(self, fields: Mapping[str, Any]) -> ChatRequest:
        """Read a request; see `read_request`."""
        return read_request(fields)

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Write a complete answer."""
        return write_answer(response, asked)

    def stream_encoder(self, asked: Asked) -> AnthropicStreamEncoder:
        """Make the encoder of one stream."""
        return AnthropicStreamEncoder(asked)

    def encode_error(self, error: APIError, request_id: str) -> ErrorAnswer:
        """Write an error; see `write_error`."""
        return write_error(error, request_id)

    def error_event(self, error: APIError, request_id: str) -> bytes:
        """Write the error that ends a stream."""
        return write_error_event(error, request_id)

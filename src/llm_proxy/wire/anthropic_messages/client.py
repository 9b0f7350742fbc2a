"""Anthropic's messages API from the client's side.

Source: the Anthropic API reference, "Messages" and "Streaming messages".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.anthropic_messages.answers import observe_answer, read_answer
from llm_proxy.wire.anthropic_messages.claude import Claude
from llm_proxy.wire.anthropic_messages.relay import AnthropicPassageReader
from llm_proxy.wire.anthropic_messages.request_writer import write_request
from llm_proxy.wire.anthropic_messages.stream_reader import AnthropicStreamDecoder
from llm_proxy.wire.dialect import Encoded, ErrorDetail, Passage
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.splice import splice

API_VERSION = "2023-06-01"
NAME = "anthropic_messages"


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The dialect, as `RelayDialect`.

    Attributes:
        default_max_tokens: The bound of an answer when the caller names none; the API
            demands one. None for as much as the model can write.
        name: What the format is called.
        stream_type: The media type of streamed answers.
    """

    default_max_tokens: int | None = 1024
    name: str = NAME
    stream_type: str = "text/event-stream"

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL."""
        return "/messages"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body; see `write_request`."""
        default = self.default_max_tokens
        if default is None:
            default = Claude.named(model).answer_tokens
            request = replace(request, max_tokens=request.max_tokens or default)
        return write_request(model, request, stream, default)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer; see `read_answer`."""
        return read_answer(body)

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> AnthropicStreamDecoder:
        """Make the decoder of one stream."""
        return AnthropicStreamDecoder()

    def relay_request(
        self, body: bytes, fields: Mapping[str, Any], model: str
    ) -> bytes:
        """Change the name of the model in a caller's body, and nothing else."""
        return splice(body, {"model": orjson.dumps(model)}, fields)

    def observe(self, body: bytes) -> Passage:
        """Look at a complete answer; see `observe_answer`."""
        return observe_answer(body)

    def passage_reader(self, fields: Mapping[str, Any]) -> AnthropicPassageReader:
        """Make the reader of one stream that passes through."""
        return AnthropicPassageReader()

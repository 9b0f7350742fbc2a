"""OpenAI's completions from the server's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.openai_chat.surface import OpenAISurface
from llm_proxy.wire.openai_completions.answer_writer import write_response
from llm_proxy.wire.openai_completions.request_reader import check_request, read_request
from llm_proxy.wire.openai_completions.stream_writer import CompletionStreamWriter
from llm_proxy.wire.surface import Asked


@dataclass(frozen=True, slots=True)
class OpenAICompletionsSurface(OpenAISurface):
    """The dialect as callers know it; the methods do what `Surface` says."""

    name: ClassVar[str] = "openai_completions"

    def check_request(self, fields: Mapping[str, Any]) -> None:
        """Refuse what no upstream could answer, with `InvalidInputError`."""
        check_request(fields)

    def decode_request(self, fields: Mapping[str, Any]) -> ChatRequest:
        """Read a request; may raise `InvalidInputError`, `UnsupportedFeatureError`."""
        return read_request(fields)

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Write a complete answer."""
        return write_response(response, asked)

    def stream_encoder(self, asked: Asked) -> CompletionStreamWriter:
        """Make the encoder of one stream."""
        return CompletionStreamWriter(asked)

"""A surface that shows what providers make of answers, before anybody writes it."""

from collections.abc import Sequence
from typing import Any

import orjson

from llm_proxy.errors import APIError
from llm_proxy.types import (
    ChatRequest,
    ChatResponse,
    Chunk,
    Part,
    Text,
    Thinking,
    ToolCall,
)
from llm_proxy.wire import Asked, ErrorAnswer, Inquiry, gather


class Listener:
    """A dialect that no upstream speaks, so that every answer is translated to it.

    Args:
        question: What every request in the dialect says.

    Attributes:
        heard: The last complete answer.
    """

    name = "canonical"
    keepalive = b""

    def __init__(self, question: ChatRequest) -> None:
        self.heard: ChatResponse | None = None
        self.chunks: list[Chunk] = []
        self._question = question

    def inquiry(self, *, stream: bool) -> Inquiry:
        """Ask the question."""
        return Inquiry(self, b"{}", Asked("1", 1, "a-model", {}), stream)

    def check_request(self, fields: dict[str, Any]) -> None:
        """Accept anything."""

    def decode_request(self, fields: dict[str, Any]) -> ChatRequest:
        """Ask the question."""
        return self._question

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Hear a complete answer."""
        self.heard = response
        return b"{}"

    def stream_encoder(self, asked: Asked) -> "Listener":
        """Hear the pieces of an answer."""
        return self

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Hear pieces of an answer."""
        self.chunks += chunks
        return b""

    def close(self) -> bytes:
        """Put the pieces together."""
        self.heard = gather(self.chunks)
        return b""

    def encode_error(self, error: APIError, request_id: str) -> ErrorAnswer:
        """Never be asked."""
        raise NotImplementedError

    def error_event(self, error: APIError, request_id: str) -> bytes:
        """Never be asked."""
        raise NotImplementedError


def describe(answer: ChatResponse) -> dict[str, Any]:
    """Write an answer as fixtures do: without what is empty, arguments parsed."""
    usage = answer.usage
    described = {
        "parts": [_describe_part(part) for part in answer.parts],
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "stop_sequence": answer.stop_sequence,
        "usage": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cached_tokens,
            "cache_write": usage.cache_write_tokens,
            "reasoning": usage.reasoning_tokens,
        },
    }
    described["usage"] = _filled(described["usage"])
    return _filled(described)


def _describe_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"text": part.text}
        case Thinking():
            shown = {"thinking": part.text, "signature": part.signature}
            return _filled({**shown, "encrypted": part.encrypted})
        case ToolCall():
            proof = {"signature": part.signature} if part.signature else {}
            arguments = orjson.loads(part.arguments)
            return {"call": part.name, "id": part.id, "arguments": arguments, **proof}
        case _:
            raise AssertionError(f"no part of an answer: {part}")


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}

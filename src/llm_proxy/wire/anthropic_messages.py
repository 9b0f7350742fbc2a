"""Anthropic's messages API.

Source: the Anthropic API reference, "Messages" and "Streaming messages".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llm_proxy.types import ChatRequest, ChatResponse, Chunk, FinishReason, Usage
from llm_proxy.wire.dialect import (
    ErrorDetail,
    UpstreamFaultError,
    WireError,
    error_detail,
    read_count,
    read_error,
    read_object,
    read_text,
)
from llm_proxy.wire.sse import SSEDecoder

API_VERSION = "2023-06-01"

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "tool_use": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The dialect.

    Attributes:
        default_max_tokens: The bound of an answer when the caller names none; the API
            demands one.
        path: Where requests go, below the base URL.
    """

    default_max_tokens: int = 1024
    path: str = "/messages"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> bytes:
        """Write the request's body.

        Args:
            model: The upstream's name of the model.
            request: What to ask.
            stream: Whether the answer comes as server-sent events.

        Returns:
            JSON. Without options it is ``{"model", "max_tokens", "messages"}``.
        """
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": request.max_tokens or self.default_max_tokens,
            "messages": [
                {"role": message.role, "content": message.content}
                for message in request.messages
            ],
        }
        if request.system is not None:
            body["system"] = request.system
        if request.temperature is not None:
            # The API takes 0 to 1 where the caller may say up to 2.
            body["temperature"] = min(request.temperature, 1.0)
        if stream:
            body["stream"] = True
        return orjson.dumps(body)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer.

        Args:
            body: The upstream's bytes.

        Returns:
            The answer; its text is empty if the model gave none.

        Raises:
            UpstreamFaultError: The body is an error.
            WireError: The body is not an answer.
        """
        answer = read_object(body)
        content = answer.get("content")
        if not isinstance(content, list):
            if answer.get("error"):
                raise UpstreamFaultError(error_detail(answer["error"]))
            raise WireError("the answer has no content")
        usage = _Tally()
        usage.add(answer.get("usage"))
        model = answer.get("model")
        return ChatResponse(
            text=read_text(content),
            model=model if isinstance(model, str) else "",
            finish_reason=_read_stop_reason(answer.get("stop_reason")) or "stop",
            usage=usage.total(),
        )

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> "AnthropicStreamDecoder":
        """Make the decoder of one stream."""
        return AnthropicStreamDecoder()


class AnthropicStreamDecoder:
    """Turns the bytes of one streamed message into chunks."""

    def __init__(self) -> None:
        self.done = False
        self._events = SSEDecoder()
        self._finished = False
        self._usage = _Tally()

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes.

        Args:
            data: Bytes of the event stream, cut anywhere.

        Returns:
            What they said, oldest first.

        Raises:
            UpstreamFaultError: An event carries an error.
            WireError: An event is not JSON, or too large.
        """
        chunks: list[Chunk] = []
        for _, payload in self._events.feed(data):
            chunk = self._read_event(read_object(payload))
            if chunk is not None:
                chunks.append(chunk)
            if self.done:
                break
        return chunks

    def close(self) -> None:
        """Check, at the end of the bytes, that the answer is whole.

        Raises:
            WireError: No stop reason has come.
        """
        if not self._finished:
            raise WireError("the stream ended without a stop reason")

    def _read_event(self, event: dict[str, Any]) -> Chunk | None:
        match event.get("type"):
            case "content_block_delta":
                delta = _mapping(event.get("delta"))
                text = delta.get("text")
                return Chunk(text) if isinstance(text, str) and text else None
            case "content_block_start":
                text = _mapping(event.get("content_block")).get("text")
                return Chunk(text) if isinstance(text, str) and text else None
            case "message_start":
                message = _mapping(event.get("message"))
                self._usage.add(message.get("usage"))
                model = message.get("model")
                return Chunk(model=model if isinstance(model, str) else None)
            case "message_delta":
                self._usage.add(event.get("usage"))
                reason = _mapping(event.get("delta")).get("stop_reason")
                finish_reason = _read_stop_reason(reason)
                self._finished = self._finished or finish_reason is not None
                return Chunk("", finish_reason, self._usage.total())
            case "message_stop":
                self.done = True
            case "error":
                raise UpstreamFaultError(error_detail(event.get("error")))
        return None


class _Tally:
    """Gathers usage over a message; a later figure replaces an earlier one.

    Anthropic's ``input_tokens`` leaves out what was read from or written to the cache;
    ours is the whole input.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sound = True

    def add(self, usage: object) -> None:
        for name, value in _mapping(usage).items():
            if name in _COUNTED and value is not None:
                self._counts[name] = read_count(value)
                self._sound = self._sound and self._counts[name] == value

    def total(self) -> Usage:
        if not self._counts or not self._sound:
            return Usage()
        counts = self._counts
        cached = counts.get("cache_read_input_tokens", 0)
        written = counts.get("cache_creation_input_tokens", 0)
        return Usage(
            input_tokens=counts.get("input_tokens", 0) + cached + written,
            output_tokens=counts.get("output_tokens", 0),
            cached_tokens=cached,
            source="provider",
        )


_COUNTED = frozenset(
    (
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    )
)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_stop_reason(reason: object) -> FinishReason | None:
    return _FINISH_REASONS.get(reason, "stop") if isinstance(reason, str) else None

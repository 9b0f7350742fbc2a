"""OpenAI's chat completions, the dialect that most providers speak.

Source: the OpenAI API reference, "Chat completions" and "Chat completion chunk".
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

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The dialect, with what differs between those who speak it.

    Attributes:
        max_tokens_field: The name of the field that bounds the answer.
        stream_usage: Whether ``stream_options.include_usage`` may be sent.
        json_schema: Whether ``response_format: json_schema`` may be sent.
        path: Where requests go, below the base URL.
    """

    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True
    json_schema: bool = False
    path: str = "/chat/completions"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> bytes:
        """Write the request's body.

        Args:
            model: The upstream's name of the model.
            request: What to ask.
            stream: Whether the answer comes as server-sent events.

        Returns:
            JSON. Without options it is exactly ``{"model", "messages"}``.
        """
        messages = [
            {"role": message.role, "content": message.content}
            for message in request.messages
        ]
        if request.system is not None:
            messages.insert(0, {"role": "system", "content": request.system})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if request.max_tokens is not None:
            body[self.max_tokens_field] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.response_schema is not None and self.json_schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "schema": request.response_schema,
                    "strict": True,
                },
            }
        if stream:
            body["stream"] = True
            if self.stream_usage:
                body["stream_options"] = {"include_usage": True}
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
        if answer.get("error"):
            raise UpstreamFaultError(error_detail(answer["error"]))
        choice = _first_choice(answer)
        if choice is None:
            raise WireError("the answer has no choices")
        message = choice.get("message")
        if not isinstance(message, dict):
            raise WireError("the choice has no message")
        refusal = read_text(message.get("refusal"))
        return ChatResponse(
            text=read_text(message.get("content")) or refusal,
            model=_read_model(answer) or "",
            finish_reason="refusal" if refusal else _read_finish_reason(choice, "stop"),
            usage=_read_usage(answer.get("usage")) or Usage(),
        )

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> "OpenAIStreamDecoder":
        """Make the decoder of one stream."""
        return OpenAIStreamDecoder()


class OpenAIStreamDecoder:
    """Turns the bytes of one streamed chat completion into chunks."""

    def __init__(self) -> None:
        self.done = False
        self._events = SSEDecoder()
        self._finished = False
        self._has_model = False
        self._refused = False

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes.

        Args:
            data: Bytes of the event stream, cut anywhere.

        Returns:
            What they said, oldest first.

        Raises:
            UpstreamFaultError: An event carries an error.
            WireError: An event is not a chunk, or too large.
        """
        chunks: list[Chunk] = []
        for _, payload in self._events.feed(data):
            if payload == b"[DONE]":
                self.done = True
                break
            # Some upstreams send words as a heartbeat; only an object holds content.
            if payload.startswith(b"{") or payload.lstrip().startswith(b"{"):
                chunk = self._read_chunk(payload)
                if chunk is not None:
                    chunks.append(chunk)
        return chunks

    def close(self) -> None:
        """Check, at the end of the bytes, that the answer is whole.

        Raises:
            WireError: No finish reason has come.
        """
        if not self._finished:
            raise WireError("the stream ended without a finish reason")

    def _read_chunk(self, payload: bytes) -> Chunk | None:
        event = read_object(payload)
        if event.get("error"):
            raise UpstreamFaultError(error_detail(event["error"]))
        choice = _first_choice(event)
        usage = _read_usage(event.get("usage"))
        if choice is None:
            return Chunk(usage=usage) if usage else None
        delta = choice.get("delta")
        text = self._read_delta(delta) if isinstance(delta, dict) else ""
        finish_reason = None
        if choice.get("finish_reason"):
            self._finished = True
            finish_reason = _read_finish_reason(choice, "stop")
            if self._refused:
                finish_reason = "refusal"
        model = None
        if not self._has_model:
            model = _read_model(event)
            self._has_model = model is not None
        return Chunk(text, finish_reason, usage, model)

    def _read_delta(self, delta: dict[str, Any]) -> str:
        text = delta.get("content")
        if not isinstance(text, str):
            text = read_text(text)
        if "refusal" in delta and (refusal := read_text(delta["refusal"])):
            self._refused = True
            text += refusal
        return text


def _first_choice(answer: dict[str, Any]) -> dict[str, Any] | None:
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return None


def _read_model(answer: dict[str, Any]) -> str | None:
    model = answer.get("model")
    return model if isinstance(model, str) else None


def _read_finish_reason(choice: dict[str, Any], default: FinishReason) -> FinishReason:
    reason = choice.get("finish_reason")
    return _FINISH_REASONS.get(reason, default) if isinstance(reason, str) else default


def _read_usage(usage: object) -> Usage | None:
    """Read ``usage``; figures that contradict themselves are as good as none."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    input_tokens, output_tokens = read_count(prompt), read_count(completion)
    if (input_tokens, output_tokens) != (prompt or 0, completion or 0):
        return None
    inputs = usage.get("prompt_tokens_details")
    outputs = usage.get("completion_tokens_details")
    cached = inputs.get("cached_tokens") if isinstance(inputs, dict) else 0
    reasoning = outputs.get("reasoning_tokens") if isinstance(outputs, dict) else 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=read_count(cached),
        reasoning_tokens=read_count(reasoning),
        source="provider",
    )

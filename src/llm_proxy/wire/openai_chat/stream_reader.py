"""Reads streamed answers of upstreams.

Source: the OpenAI API reference, "The chat completion chunk object".
"""

from typing import Any

import orjson

from llm_proxy.types import Chunk, FinishReason, ThinkingDelta
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_chat.answer_reader import (
    raise_fault,
    read_finish_reason,
    read_logprobs,
    read_thoughts,
)
from llm_proxy.wire.openai_chat.call_reader import CallReader, read_entries
from llm_proxy.wire.openai_chat.usage import read_usage
from llm_proxy.wire.reading import (
    is_lost_content,
    read_mapping,
    read_mappings,
    read_text,
)
from llm_proxy.wire.sse import SSEDecoder
from llm_proxy.wire.stream import Stream

# An event with one of these that does not parse was part of the answer.
_CONTENT_MARKS = (b'"choices"', b'"delta"')


def read_event(name: bytes, payload: bytes) -> dict[str, Any] | None:
    """Parse the data of one event.

    Args:
        name: The event's name; empty if it has none.
        payload: Its data.

    Returns:
        An object; None for what holds no part of the answer, such as the words that
        some upstreams send as a heartbeat.

    Raises:
        UpstreamFaultError: The event is an error.
        WireError: It was part of the answer and cannot be read.
    """
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if name == b"error":
            text = payload.decode(errors="replace")
            raise UpstreamFaultError(error_detail(text)) from error
        if is_lost_content(payload, _CONTENT_MARKS):
            raise WireError("a chunk is not JSON") from error
        return None
    if not isinstance(event, dict):
        return None
    if event.get("error") or event.get("object") == "error":
        raise_fault(event)
    if name == b"error":
        raise UpstreamFaultError(error_detail(event))
    return event


class ChatStreamReader(Stream[Chunk]):
    """Turns the bytes of one streamed chat completion into chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEDecoder()
        self._finished = False
        self._refused = False
        self._has_model = False
        self._calls = CallReader()

    def _read(self, data: bytes, pieces: list[Chunk]) -> None:
        for name, payload in self._events.feed(data):
            if payload == b"[DONE]":
                self.done = True
                break
            event = read_event(name, payload)
            if event is not None:
                self._read_chunk(event, pieces)

    def _end(self) -> list[Chunk]:
        if not self._finished:
            raise WireError("the stream ended without a finish reason")
        return []

    def _read_chunk(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        if not self._has_model:
            model = event.get("model")
            # Azure leaves it empty in a first chunk that is about filters.
            if isinstance(model, str) and model:
                self._has_model = True
                chunks.append(Chunk(model=model))
        usage = event.get("usage")
        if usage is not None:
            usage = read_usage(usage)
        choices = read_mappings(event, "choices")
        if not choices or self._finished:
            if usage:
                chunks.append(Chunk(usage=usage))
            return
        choice = choices[0]
        delta = read_mapping(choice, "delta")
        # The second is how completions, the older API, say it.
        text = self._read_delta(delta, chunks) if delta else read_text(choice, "text")
        finish_reason = None
        if choice.get("finish_reason"):
            finish_reason = self._read_finish(choice)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            logprobs = read_logprobs(logprobs)
        if text or finish_reason or usage or logprobs:
            chunks.append(Chunk(text, finish_reason, usage, logprobs=logprobs))

    def _read_finish(self, choice: dict[str, Any]) -> FinishReason:
        finish_reason = read_finish_reason(choice, self._calls.any)
        self._finished = True
        return "refusal" if self._refused else finish_reason

    def _read_delta(self, delta: dict[str, Any], chunks: list[Chunk]) -> str:
        """Read all but the text, which is returned."""
        content = delta.get("content")
        if isinstance(content, str) and len(delta) == 1:
            return content
        thoughts = read_thoughts(delta)
        if thoughts:
            chunks.append(Chunk(delta=ThinkingDelta(thoughts)))
        text = read_text(delta, "content")
        refusal = read_text(delta, "refusal")
        if refusal:
            self._refused = True
            text += refusal
        calls = read_entries(delta)
        if not calls:
            return text
        if text:
            chunks.append(Chunk(text))
        for call in calls:
            piece = self._calls.read(call)
            if piece is not None:
                chunks.append(Chunk(delta=piece))
        return ""

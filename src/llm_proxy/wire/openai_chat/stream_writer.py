"""Writes streamed answers for callers.

Source: the OpenAI API reference, "The chat completion chunk object".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.types import Chunk, FinishReason, ThinkingDelta, ToolCallDelta, Usage
from llm_proxy.wire.free_text import FreeTextReader
from llm_proxy.wire.openai_chat.answer_writer import is_legacy, write_logprobs
from llm_proxy.wire.openai_chat.message_writer import write_call, write_signature
from llm_proxy.wire.openai_chat.tools import custom_names
from llm_proxy.wire.openai_chat.usage import write_usage
from llm_proxy.wire.surface import Asked

DONE = b"data: [DONE]\n\n"


def wants_usage(fields: Mapping[str, Any]) -> bool:
    """Say whether a caller wants to see the usage of a stream.

    Args:
        fields: The caller's JSON.

    Returns:
        What ``stream_options.include_usage`` says.
    """
    options = fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


class ChatStreamWriter:
    """Writes one streamed chat completion, event by event.

    Args:
        asked: What to know of the request.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shows_usage = wants_usage(asked.fields)
        self._is_legacy = is_legacy(asked.fields)
        self._custom = custom_names(asked.fields)
        self._free_texts: dict[int, FreeTextReader] = {}
        self._customs: set[int] = set()
        self._usage = Usage()
        self._model = asked.model
        self._head = b""
        # What follows the delta in events that neither end the answer nor have more.
        usage = b',"usage":null' if self._shows_usage else b""
        self._tail = b'},"logprobs":null,"finish_reason":null}]%b}\n\n' % usage

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Write whole events.

        Args:
            chunks: The next pieces.

        Returns:
            The events; empty if the pieces say nothing that callers hear.
        """
        events: list[bytes] = []
        for text, finish_reason, usage, model, delta, _, logprobs in chunks:
            if model and not self._head:
                self._model = model
            if usage is not None:
                self._usage = usage
            if delta is not None:
                self._write_delta(delta, events)
            if logprobs is not None:
                self._begin(events)
                events.append(self._write_event({"content": text}, logprobs=logprobs))
            elif text:
                self._begin(events)
                content = orjson.dumps(text)
                events.append(b'%b"content":%b%b' % (self._head, content, self._tail))
            if finish_reason is not None:
                self._begin(events)
                events.append(self._write_event({}, self._finish(finish_reason)))
        return b"".join(events)

    def close(self) -> bytes:
        """Write what ends a whole answer.

        Returns:
            The usage, if the caller wants it and somebody knows it, and ``[DONE]``.
        """
        if not self._shows_usage or self._usage.source == "none":
            return DONE
        usage = write_usage(self._usage)
        event = {**self._frame(), "choices": [], "usage": usage}
        return b"data: %b\n\n%b" % (orjson.dumps(event), DONE)

    def _frame(self) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._asked.id}",
            "object": "chat.completion.chunk",
            "created": self._asked.created,
            "model": self._model,
        }

    def _begin(self, events: list[bytes]) -> None:
        """Write the event that names the role, before all others."""
        if self._head:
            return
        frame = orjson.dumps(self._frame())[:-1]
        self._head = b'data: %b,"choices":[{"index":0,"delta":{' % frame
        events.append(self._write({"role": "assistant", "content": ""}))

    def _write(self, delta: Mapping[str, Any]) -> bytes:
        return b"%b%b%b" % (self._head, orjson.dumps(delta)[1:-1], self._tail)

    def _write_event(
        self,
        delta: Mapping[str, Any],
        finish_reason: str | None = None,
        logprobs: tuple[Mapping[str, Any], ...] | None = None,
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None if logprobs is None else write_logprobs(logprobs),
            "finish_reason": finish_reason,
        }
        event = {**self._frame(), "choices": [choice]}
        if self._shows_usage:
            event["usage"] = None
        return b"data: %b\n\n" % orjson.dumps(event)

    def _finish(self, reason: FinishReason) -> str:
        if reason == "refusal":
            # Its text has gone out as content before anybody knew.
            return "content_filter"
        if reason == "tool_calls" and self._is_legacy:
            return "function_call"
        return reason

    def _write_delta(
        self, delta: ThinkingDelta | ToolCallDelta, events: list[bytes]
    ) -> None:
        if isinstance(delta, ThinkingDelta):
            if delta.text:
                self._begin(events)
                events.append(self._write({"reasoning_content": delta.text}))
            return
        written = self._write_call(delta)
        if written:
            self._begin(events)
            events.append(self._write(written))

    def _write_call(self, piece: ToolCallDelta) -> dict[str, Any]:
        """Write a piece of a call; empty if there is nothing to say yet."""
        arguments = piece.arguments
        if piece.name and (piece.custom or piece.name in self._custom):
            self._customs.add(piece.call)
            if not piece.custom:
                self._free_texts[piece.call] = FreeTextReader()
        free_text = self._free_texts.get(piece.call)
        if free_text is not None:
            arguments = free_text.feed(arguments)
        if self._is_legacy:
            # Such callers know one call per answer.
            if piece.call > 0 or not (piece.name or arguments):
                return {}
            function = {"name": piece.name} if piece.name else {}
            return {"function_call": {**function, "arguments": arguments}}
        custom = piece.call in self._customs
        call: dict[str, Any] = {"index": piece.call}
        if piece.name:
            call |= write_call(piece.id, piece.name, arguments, custom=custom)
        elif arguments:
            kind, key = ("custom", "input") if custom else ("function", "arguments")
            call[kind] = {key: arguments}
        if piece.signature:
            call["extra_content"] = write_signature(piece.signature)
        return {"tool_calls": [call]} if len(call) > 1 else {}

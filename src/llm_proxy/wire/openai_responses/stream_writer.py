"""Writes one streamed answer, event by event.

Source: the OpenAI API reference, "Streaming events" of the Responses API.
"""

from collections.abc import Sequence

import orjson

from llm_proxy.types import (
    Chunk,
    FinishReason,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from llm_proxy.wire.openai_responses.event_writer import EventWriter
from llm_proxy.wire.openai_responses.finish import write_status
from llm_proxy.wire.openai_responses.open_items import (
    OpenCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
)
from llm_proxy.wire.openai_responses.response_writer import (
    begin_response,
    end_response,
)
from llm_proxy.wire.openai_responses.thoughts import seal, seal_call
from llm_proxy.wire.openai_responses.tools import custom_tool_names
from llm_proxy.wire.surface import Asked


class ResponsesStreamWriter:
    """Writes the events of one response.

    One item follows the other. Only calls may overlap, if an upstream writes several at
    once: events say which item they belong to.

    Args:
        asked: What is known of the request.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._custom = custom_tool_names(asked.fields)
        self._events = EventWriter()
        self._items: list[OpenItem] = []
        self._message: OpenMessage | None = None
        self._reasoning: OpenReasoning | None = None
        self._calls: dict[int, OpenCall] = {}
        self._begun = False
        self._model = ""
        self._finish_reason: FinishReason = "stop"
        self._usage = Usage()

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Write what chunks say.

        Args:
            chunks: Pieces of the answer, oldest first.

        Returns:
            Whole events; empty if the chunks say nothing that callers hear.
        """
        for chunk in chunks:
            self._write(chunk)
        return self._events.take()

    def close(self) -> bytes:
        """End the answer; only after a finish reason was fed.

        Returns:
            The last events.
        """
        if self._finish_reason == "refusal":
            self._open_message().refused = True
        ended = self._items[-1:]
        status = write_status(self._finish_reason)
        for item in list(self._items):
            if item.status == "in_progress":
                self._close(item, status if item in ended else "completed")
        output = [item.value() for item in self._items]
        response = end_response(
            self._asked, self._model, self._finish_reason, output, self._usage
        )
        self._events.write(f"response.{status}", response=response)
        return self._events.take()

    def _write(self, chunk: Chunk) -> None:
        if chunk.model:
            self._model = chunk.model
        if not self._begun:
            self._begin()
        delta = chunk.delta
        if isinstance(delta, ThinkingDelta):
            self._think(delta)
        if chunk.text:
            message = self._message or self._open_message()
            message.add(chunk.text, chunk.logprobs)
        if isinstance(delta, ToolCallDelta):
            self._call(delta)
        if chunk.finish_reason is not None:
            self._finish_reason = chunk.finish_reason
        if chunk.usage is not None:
            self._usage = chunk.usage

    def _begin(self) -> None:
        self._begun = True
        response = begin_response(self._asked, "in_progress")
        response["model"] = self._model or self._asked.model
        written = orjson.Fragment(orjson.dumps(response))
        self._events.write("response.created", response=written)
        self._events.write("response.in_progress", response=written)

    def _open_message(self) -> OpenMessage:
        if self._message is None:
            self._settle()
            self._message = OpenMessage(self._events, *self._place())
            self._open(self._message)
        return self._message

    def _think(self, delta: ThinkingDelta) -> None:
        if not any(delta):
            return
        if self._reasoning is None:
            self._settle()
            self._reasoning = OpenReasoning(self._events, *self._place())
            self._open(self._reasoning)
        if delta.text:
            self._reasoning.add(delta.text)
        if proof := seal(Thinking("", delta.signature, delta.encrypted)):
            self._reasoning.encrypted = proof
            self._close(self._reasoning, "completed")

    def _call(self, delta: ToolCallDelta) -> None:
        call = self._calls.get(delta.call)
        if call is None:
            self._settle()
            custom = delta.name in self._custom
            call = OpenCall(
                self._events,
                self._place(),
                ToolCall(delta.id, delta.name, "", custom=custom or delta.custom),
                emulated=custom and not delta.custom,
            )
            self._calls[delta.call] = call
            self._open(call)
        if call.status == "in_progress":
            call.add(delta)
        elif delta.signature:
            self._prove(ToolCall(call.call.id, "", "", signature=delta.signature))

    def _settle(self) -> None:
        """Close what will not grow any more now that another item begins."""
        for item in (self._message, self._reasoning):
            if item is not None:
                self._close(item, "completed")
        for call in self._calls.values():
            if call.status == "in_progress" and call.is_whole:
                self._close(call, "completed")

    def _place(self) -> tuple[str, int]:
        return f"{self._asked.id}{len(self._items)}", len(self._items)

    def _open(self, item: OpenItem) -> None:
        self._items.append(item)
        item.begin()

    def _close(self, item: OpenItem, status: str) -> None:
        item.close(status)
        if item is self._message:
            self._message = None
        elif item is self._reasoning:
            self._reasoning = None
        elif isinstance(item, OpenCall) and item.call.signature:
            self._prove(item.call)

    def _prove(self, call: ToolCall) -> None:
        proof = OpenReasoning(self._events, *self._place())
        self._open(proof)
        proof.encrypted = seal_call(call)
        proof.close("completed")

"""The items of an answer while it is streamed: each writes its own events.

Source: the OpenAI API reference, "Streaming events" of the Responses API.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from llm_proxy.types import ToolCall, ToolCallDelta
from llm_proxy.wire.free_text import FreeTextReader
from llm_proxy.wire.openai_responses.event_writer import EventWriter, delta_head
from llm_proxy.wire.openai_responses.items import (
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)

_NO_LOGPROBS = b',"logprobs":[]}\n\n'


class OpenItem(ABC):
    """An item that grows.

    Args:
        events: Where it writes.
        serial: What its id ends with.
        index: Its place in the output.

    Attributes:
        status: ``in_progress`` until it is closed.
    """

    def __init__(self, events: EventWriter, serial: str, index: int) -> None:
        self.status = "in_progress"
        self._events = events
        self._serial = serial
        self._index = index

    def begin(self) -> None:
        """Write that there is a new item."""
        self._events.write(
            "response.output_item.added", output_index=self._index, item=self.value()
        )

    def close(self, status: str) -> None:
        """Write that the item has ended.

        Args:
            status: ``completed`` or ``incomplete``.
        """
        self._end_content()
        self.status = status
        self._events.write(
            "response.output_item.done", output_index=self._index, item=self.value()
        )

    @abstractmethod
    def value(self) -> dict[str, Any]:
        """Give the item as it is now."""

    @abstractmethod
    def _end_content(self) -> None:
        """Write that what is in it has ended."""


class OpenMessage(OpenItem):
    """What the assistant says.

    Attributes:
        refused: Whether that is a refusal. It is known only at the end, when the text
            has been sent, so an empty refusal follows the text.
    """

    def __init__(self, events: EventWriter, serial: str, index: int) -> None:
        super().__init__(events, serial, index)
        self.refused = False
        self._place = {"item_id": f"msg_{serial}", "output_index": index}
        self._head = delta_head(
            "response.output_text.delta", **self._place, content_index=0
        )
        self._pieces: list[str] = []
        self._logprobs: list[Mapping[str, Any]] = []

    def add(self, text: str, logprobs: Sequence[Mapping[str, Any]] | None) -> None:
        """Write a piece of text."""
        if not self._pieces:
            self._write_part("added", 0, text_part(""))
        self._pieces.append(text)
        tail = _NO_LOGPROBS
        if logprobs:
            self._logprobs.extend(logprobs)
            tail = b',"logprobs":%b}\n\n' % orjson.dumps(logprobs)
        self._events.write_delta(self._head, text, tail)

    def value(self) -> dict[str, Any]:
        """Give the item as it is now."""
        parts = self._texts()
        if self.refused:
            parts.append(refusal_part(""))
        return message_item(self._serial, parts, self.status)

    def _end_content(self) -> None:
        texts = self._texts()
        for part in texts:
            self._events.write(
                "response.output_text.done",
                **self._place,
                content_index=0,
                text=part["text"],
                logprobs=part["logprobs"],
            )
            self._write_part("done", 0, part)
        if self.refused:
            index, part = len(texts), refusal_part("")
            self._write_part("added", index, part)
            self._events.write(
                "response.refusal.done", **self._place, content_index=index, refusal=""
            )
            self._write_part("done", index, part)

    def _texts(self) -> list[dict[str, Any]]:
        """Give the one text part; none if nothing was said."""
        if not self._pieces:
            return []
        return [text_part("".join(self._pieces), self._logprobs)]

    def _write_part(self, event: str, index: int, part: Mapping[str, Any]) -> None:
        self._events.write(
            f"response.content_part.{event}",
            **self._place,
            content_index=index,
            part=part,
        )


class OpenReasoning(OpenItem):
    """What the model thinks.

    Attributes:
        encrypted: What callers bring back; set before it is closed.
    """

    def __init__(self, events: EventWriter, serial: str, index: int) -> None:
        super().__init__(events, serial, index)
        self.encrypted = ""
        self._place = {
            "item_id": f"rs_{serial}",
            "output_index": index,
            "summary_index": 0,
        }
        self._head = delta_head("response.reasoning_summary_text.delta", **self._place)
        self._pieces: list[str] = []

    def add(self, text: str) -> None:
        """Write a piece of thoughts."""
        if not self._pieces:
            self._write_part("added", "")
        self._pieces.append(text)
        self._events.write_delta(self._head, text)

    def value(self) -> dict[str, Any]:
        """Give the item as it is now."""
        return reasoning_item(self._serial, "".join(self._pieces), self.encrypted)

    def _end_content(self) -> None:
        if self._pieces:
            text = "".join(self._pieces)
            kind = "response.reasoning_summary_text.done"
            self._events.write(kind, **self._place, text=text)
            self._write_part("done", text)

    def _write_part(self, event: str, text: str) -> None:
        kind = f"response.reasoning_summary_part.{event}"
        part = {"type": "summary_text", "text": text}
        self._events.write(kind, **self._place, part=part)


class OpenCall(OpenItem):
    """A tool call.

    Args:
        events: Where it writes.
        place: What its id ends with, and its place in the output.
        call: What is known of it; it is `custom` if the caller's tool is.
        emulated: Whether its free text comes as the argument of a function.

    Attributes:
        call: The call so far, without its arguments.
    """

    def __init__(
        self,
        events: EventWriter,
        place: tuple[str, int],
        call: ToolCall,
        *,
        emulated: bool,
    ) -> None:
        super().__init__(events, *place)
        self.call = call
        self._free_text = FreeTextReader() if emulated else None
        self._heard: list[str] = []
        self._pieces: list[str] = []
        self._kind = "response.function_call_arguments"
        if call.custom:
            self._kind = "response.custom_tool_call_input"
        self._place = {"item_id": self.value()["id"], "output_index": self._index}
        self._head = delta_head(f"{self._kind}.delta", **self._place)

    def add(self, delta: ToolCallDelta) -> None:
        """Write a piece of the arguments."""
        piece = delta.arguments
        if delta.signature:
            self.call = replace(self.call, signature=delta.signature)
        self._heard.append(piece)
        if self._free_text is not None:
            piece = self._free_text.feed(piece)
        if piece:
            self._pieces.append(piece)
            self._events.write_delta(self._head, piece)

    @property
    def is_whole(self) -> bool:
        """Whether no piece can follow, as far as JSON tells."""
        try:
            orjson.loads("".join(self._heard))
        except orjson.JSONDecodeError:
            return False
        return True

    def value(self) -> dict[str, Any]:
        """Give the item as it is now."""
        call = replace(self.call, arguments="".join(self._pieces))
        return call_item(self._serial, call, self.status)

    def _end_content(self) -> None:
        if not self._pieces and not self.call.custom:
            self._pieces.append("{}")
        name = "input" if self.call.custom else "arguments"
        self._events.write(
            f"{self._kind}.done", **self._place, **{name: "".join(self._pieces)}
        )

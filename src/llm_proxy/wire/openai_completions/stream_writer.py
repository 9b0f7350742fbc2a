"""Writes streamed answers for callers.

Source: the OpenAI API reference, "Create completion (legacy)".
"""

from collections.abc import Sequence
from typing import Any

import orjson

from llm_proxy.types import Chunk, Usage
from llm_proxy.wire.openai_chat.stream_writer import DONE, wants_usage
from llm_proxy.wire.openai_chat.usage import write_usage
from llm_proxy.wire.openai_completions.answer_writer import write_choice, write_frame
from llm_proxy.wire.surface import Asked


class CompletionStreamWriter:
    """Writes one streamed completion, event by event.

    Args:
        asked: What to know of the request.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shows_usage = wants_usage(asked.fields)
        self._usage = Usage()
        self._model = ""
        self._length = 0

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Write whole events.

        Args:
            chunks: The next pieces.

        Returns:
            The events; empty if the pieces say nothing that callers hear.
        """
        events = []
        for chunk in chunks:
            self._model = self._model or chunk.model or ""
            self._usage = chunk.usage or self._usage
            if chunk.text or chunk.finish_reason:
                choice = write_choice(
                    chunk.text, chunk.finish_reason, chunk.logprobs, self._length
                )
                self._length += len(chunk.text)
                events.append(self._write([choice]))
        return b"".join(events)

    def close(self) -> bytes:
        """Write what ends a whole answer.

        Returns:
            The usage, if the caller wants it and somebody knows it, and ``[DONE]``.
        """
        if not self._shows_usage or self._usage.source == "none":
            return DONE
        return self._write([], write_usage(self._usage)) + DONE

    def _write(
        self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None
    ) -> bytes:
        event = {**write_frame(self._asked, self._model), "choices": choices}
        if self._shows_usage:
            event["usage"] = usage
        return b"data: %b\n\n" % orjson.dumps(event)

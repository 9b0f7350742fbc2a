"""`/v1/chat/completions`, read as OpenAI's reference describes it.

Source: the OpenAI API reference, "Chat completions", "Streaming" and "Error codes".
"""

from collections.abc import Sequence
from typing import Any

from llm_proxy.selftest.reading import (
    Event,
    Reading,
    Told,
    count_tokens,
    dig,
    read_json,
)
from llm_proxy.selftest.surface import QUESTION


class OpenAI:
    """The surface for programs that use an SDK of OpenAI."""

    name = "/v1/chat/completions"
    path = "/v1/chat/completions"
    is_native = False
    unavailable = frozenset({502})

    def headers(self, token: str) -> dict[str, str]:
        """Say who asks."""
        return {"authorization": f"Bearer {token}"}

    def body(self, model: str, stream: bool) -> dict[str, Any]:
        """Put the question, and ask for the usage of streams."""
        body: dict[str, Any] = {
            "model": f"sandbox/{model}",
            "messages": [{"role": "user", "content": QUESTION}],
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def read_error(self, value: object) -> Told | None:
        """Read ``{"error": {"message", "type", "param", "code"}}``."""
        error = dig(value, "error")
        kind, message = dig(error, "type"), dig(error, "message")
        if not isinstance(kind, str) or not isinstance(message, str):
            return None
        if "param" not in error or "code" not in error:
            return None
        return Told(str(error["code"] or kind), message)

    def read_answer(self, value: object) -> Reading:
        """Read a ``chat.completion``."""
        choice = dig(value, "choices", 0)
        message = dig(choice, "message")
        text = dig(message, "content")
        if message is None or not isinstance(text, str | None):
            return Reading(faults=("the answer has no content",))
        has_reason = bool(dig(choice, "finish_reason"))
        return Reading(
            text=text or "",
            model=str(dig(value, "model")),
            has_reason=has_reason,
            whole=has_reason,
            usage=_usage(value),
        )

    def read_stream(self, events: Sequence[Event]) -> Reading:
        """Read chunks up to ``[DONE]`` or an error."""
        is_done = bool(events) and events[-1].data == "[DONE]"
        chunks = [read_json(event.data) for event in events if event.data != "[DONE]"]
        told = [chunk for chunk in chunks if dig(chunk, "error") is not None]
        parts = [dig(chunk, "choices", 0, "delta", "content") for chunk in chunks]
        finished = any(dig(chunk, "choices", 0, "finish_reason") for chunk in chunks)
        faults = ["an event that is not JSON"] if None in chunks else []
        if not all(isinstance(part, str | None) for part in parts):
            faults.append("a delta whose content is no text")
        if [event.data for event in events[:-1]].count("[DONE]"):
            faults.append("something follows [DONE]")
        if told and (is_done or chunks[-1] is not told[-1]):
            faults.append("something follows the error")
        error = self.read_error(told[-1]) if told else None
        if told and error is None:
            faults.append("an error that is not in the envelope")
        models = [model for chunk in chunks if (model := dig(chunk, "model"))]
        usages = [usage for chunk in chunks if (usage := _usage(chunk))]
        return Reading(
            text="".join(part for part in parts if isinstance(part, str)),
            model=str(models[-1]) if models else "",
            has_reason=finished,
            whole=is_done and finished and not told,
            usage=usages[-1] if usages else None,
            error=error,
            faults=tuple(faults),
        )


def _usage(value: object) -> tuple[int, int] | None:
    return count_tokens(dig(value, "usage"), "prompt_tokens", "completion_tokens")

"""`/v1/messages`, read as Anthropic's reference describes it.

Source: the Anthropic API reference, "Messages", "Streaming messages" and "Errors".
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

# What may not come before the beginning; a vendor may invent other events.
_KNOWN = (
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
)


class Anthropic:
    """The surface for programs that use an SDK of Anthropic."""

    name = "/v1/messages"
    path = "/v1/messages"
    is_native = False
    unavailable = frozenset({502, 529})

    def headers(self, token: str) -> dict[str, str]:
        """Say who asks, and in which version of the API."""
        return {"x-api-key": token, "anthropic-version": "2023-06-01"}

    def body(self, model: str, stream: bool) -> dict[str, Any]:
        """Put the question."""
        return {
            "model": f"sandbox/{model}",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": stream,
        }

    def read_error(self, value: object) -> Told | None:
        """Read ``{"type": "error", "error": {"type", "message"}, "request_id"}``."""
        error = dig(value, "error")
        kind, message = dig(error, "type"), dig(error, "message")
        if not isinstance(kind, str) or not isinstance(message, str):
            return None
        if dig(value, "type") != "error" or not isinstance(
            dig(value, "request_id"), str
        ):
            return None
        return Told(kind, message)

    def read_answer(self, value: object) -> Reading:
        """Read a ``message``."""
        blocks = dig(value, "content")
        text = dig(blocks, 0, "text")
        if not isinstance(blocks, list) or (blocks and not isinstance(text, str)):
            return Reading(faults=("the answer has no content",))
        has_reason = bool(dig(value, "stop_reason"))
        return Reading(
            text=text or "",
            model=str(dig(value, "model")),
            has_reason=has_reason,
            whole=has_reason,
            usage=count_tokens(dig(value, "usage"), "input_tokens", "output_tokens"),
        )

    def read_stream(self, events: Sequence[Event]) -> Reading:
        """Read events from ``message_start`` to ``message_stop`` or ``error``."""
        values = [read_json(event.data) for event in events]
        kinds = [dig(value, "type") for value in values]
        parts = [dig(value, "delta", "text") for value in values]
        faults = ["an event that is not JSON"] if None in values else []
        if not all(isinstance(part, str | None) for part in parts):
            faults.append("a delta whose text is no text")
        named = zip(events, kinds, strict=True)
        if any(kind not in (None, event.name) for event, kind in named):
            faults.append("an event under another event's name")
        known = [kind for kind in kinds if kind in _KNOWN]
        if known and known[0] not in ("message_start", "error"):
            faults.append(f"the stream begins with {known[0]}")
        if {"message_stop", "error"} & {*kinds[:-1]}:
            faults.append("something follows the end")
        is_told = kinds[-1:] == ["error"]
        reason = _last(values, "delta", "stop_reason")
        error = self.read_error(values[-1]) if is_told else None
        if is_told and error is None:
            faults.append("an error that is not in the envelope")
        given = _last(values, "message", "usage", "input_tokens")
        given = _last(values, "usage", "input_tokens") or given
        made = _last(values, "usage", "output_tokens")
        return Reading(
            text="".join(part for part in parts if isinstance(part, str)),
            model=str(_last(values, "message", "model") or ""),
            has_reason=bool(reason),
            whole=kinds[-1:] == ["message_stop"] and bool(reason),
            usage=count_tokens({"in": given, "out": made}, "in", "out"),
            error=error,
            faults=tuple(faults),
        )


def _last(values: Sequence[object], *path: str) -> Any:  # noqa: ANN401 - JSON
    found = [dig(value, *path) for value in values]
    return next((each for each in reversed(found) if each is not None), None)

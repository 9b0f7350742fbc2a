"""`/chat`, read by somebody who has the documentation and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
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


class Native:
    """The service's own surface (docs/api.md)."""

    name = "/chat"
    path = "/chat"
    is_native = True
    unavailable = frozenset({502})

    def headers(self, token: str) -> dict[str, str]:
        """Say who asks."""
        return {"x-api-token": token}

    def body(self, model: str, stream: bool) -> dict[str, Any]:
        """Put the question."""
        return {
            "provider": "sandbox",
            "model": model,
            "prompt": QUESTION,
            "stream": stream,
        }

    def read_error(self, value: object) -> Told | None:
        """Read ``{"error": {"code", "message", "details", "requestId"}}``."""
        error = dig(value, "error")
        code, message = dig(error, "code"), dig(error, "message")
        if not isinstance(code, str) or not isinstance(message, str):
            return None
        if "details" not in error or not isinstance(dig(error, "requestId"), str):
            return None
        return Told(code, message)

    def read_answer(self, value: object) -> Reading:
        """Read ``{"provider", "model", "response", "meta"}``."""
        text = dig(value, "response")
        meta = dig(value, "meta")
        if not isinstance(text, str):
            return Reading(faults=("the answer has no response",))
        has_reason = bool(dig(meta, "finish_reason"))
        return Reading(
            text=text,
            model=f"{dig(value, 'provider')}/{dig(value, 'model')}",
            has_reason=has_reason,
            whole=has_reason,
            usage=count_tokens(dig(meta, "usage"), "input_tokens", "output_tokens"),
        )

    def read_stream(self, events: Sequence[Event]) -> Reading:
        """Read ``delta`` events and the ``done`` or ``error`` behind them."""
        deltas = [event for event in events if event.name == "delta"]
        parts = [dig(read_json(event.data), "response") for event in deltas]
        text = "".join(part for part in parts if isinstance(part, str))
        faults = ["a delta without text"] if None in parts else []
        ends = [event for event in events if event.name in ("done", "error")]
        if len(ends) > 1 or (ends and events[-1] is not ends[-1]):
            faults.append("something follows the end")
        if not ends:
            return Reading(text=text, faults=tuple(faults))
        if ends[-1].name == "error":
            error = self.read_error(read_json(ends[-1].data))
            if error is None:
                faults.append("an error that is not in the envelope")
            return Reading(text=text, error=error, faults=tuple(faults))
        done = self.read_answer(read_json(ends[-1].data))
        if done.text != text:
            faults.append("done has another text than the deltas")
        return replace(done, text=text, faults=(*done.faults, *faults))

"""Reads why an answer of Converse ended."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import Chunk, FinishReason
from llm_proxy.wire.dialect import ErrorDetail, UpstreamFaultError, WireError

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
}
# What the model wrote was no answer; a failure of the model, told with status 200.
_FAILURES = ("malformed_model_output", "malformed_tool_use")


def read_finish(answer: Mapping[str, Any]) -> Chunk:
    """Read the end of an answer.

    Args:
        answer: Has ``stopReason``, and ``additionalModelResponseFields`` if the request
            asked for them.

    Returns:
        A chunk with the finish reason and the stop text.

    Raises:
        UpstreamFaultError: The model failed.
        WireError: There is no reason.
    """
    reason = answer.get("stopReason")
    if not isinstance(reason, str):
        raise WireError("the answer has no stop reason")
    if reason in _FAILURES:
        raise UpstreamFaultError(ErrorDetail(502, reason, ""))
    more = answer.get("additionalModelResponseFields")
    stop_sequence = more.get("stop_sequence") if isinstance(more, dict) else None
    return Chunk(
        finish_reason=_FINISH_REASONS.get(reason, "stop"),
        stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
    )

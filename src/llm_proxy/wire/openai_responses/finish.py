"""Why an answer ended: a status here, with details if it is not whole."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import FinishReason

_REASONS: Mapping[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def write_status(finish_reason: FinishReason) -> str:
    """Write the status of an answer that has ended.

    Args:
        finish_reason: Why it ended.

    Returns:
        ``completed`` or ``incomplete``.
    """
    return "incomplete" if finish_reason in _REASONS else "completed"


def write_details(finish_reason: FinishReason) -> dict[str, str] | None:
    """Write why an answer is not whole.

    Args:
        finish_reason: Why it ended.

    Returns:
        The value of ``incomplete_details``; None if it is whole.
    """
    reason = _REASONS.get(finish_reason)
    return None if reason is None else {"reason": reason}


def read_finish_reason(
    response: Mapping[str, Any], *, refused: bool, called: bool
) -> FinishReason:
    """Read why an answer has ended.

    Args:
        response: The response object.
        refused: Whether there is a refusal in it.
        called: Whether there is a call of a tool in it.

    Returns:
        The finish reason.
    """
    if response.get("status") == "incomplete":
        return _read_incomplete(response)
    if refused:
        return "refusal"
    return "tool_calls" if called else "stop"


def _read_incomplete(response: Mapping[str, Any]) -> FinishReason:
    """Read why an answer is not whole; what nobody here knows is a bound."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return "content_filter" if reason == "content_filter" else "length"

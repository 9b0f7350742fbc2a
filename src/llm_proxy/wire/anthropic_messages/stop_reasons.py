"""Why an answer ended, in the vendor's words and in ours."""

from collections.abc import Mapping

from llm_proxy.types import FinishReason

_READ: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "tool_use": "tool_calls",
}
_WRITTEN: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    # The vendor has no other word for an answer that a filter stopped.
    "content_filter": "refusal",
    "refusal": "refusal",
    "tool_calls": "tool_use",
}


def read_stop_reason(reason: object) -> FinishReason | None:
    """Read a ``stop_reason``.

    Args:
        reason: Its value, whatever it is.

    Returns:
        Ours; None if there is none yet. A word that we do not know is an end too.
    """
    return _READ.get(reason, "stop") if isinstance(reason, str) else None


def read_stop_sequence(sequence: object) -> str | None:
    """Read a ``stop_sequence``.

    Args:
        sequence: Its value, whatever it is.

    Returns:
        The text that ended the answer, if one did.
    """
    return sequence if isinstance(sequence, str) else None


def write_ending(reason: FinishReason, stop_sequence: str | None) -> dict[str, object]:
    """Write how an answer ended.

    Args:
        reason: Why.
        stop_sequence: The text that ended it, if one did.

    Returns:
        The keys that messages and ends of streams have in common.
    """
    stopped = reason == "stop" and stop_sequence is not None
    return {
        "stop_reason": "stop_sequence" if stopped else _WRITTEN[reason],
        "stop_sequence": stop_sequence if stopped else None,
        "stop_details": None,
        "container": None,
    }

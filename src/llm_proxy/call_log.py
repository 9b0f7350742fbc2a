"""What the log says of a call that is over."""

from llm_proxy.accounting import Outcome
from llm_proxy.errors import APIError
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)


def log_call(outcome: Outcome, project: str) -> None:
    """Log what has become of a call, and what it has used; nothing of what was said.

    Args:
        outcome: What is known of it.
        project: What calls are for that do not say so.
    """
    call, usage, error = outcome.call, outcome.usage, outcome.error
    first = outcome.first_seconds
    facts = {
        "project": call.project or project,
        "feature": call.feature,
        "userId": call.principal.name,
        "provider": outcome.target.provider,
        "model": outcome.target.model,
        "response_model": outcome.model,
        "latency_ms": round(outcome.seconds * 1000, 1),
        "first_token_ms": None if first is None else round(first * 1000, 1),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "tokens_used": usage.input_tokens + usage.output_tokens,
        "usage_source": usage.source,
        "finish_reason": outcome.finish_reason,
        "attempts": call.trace.attempts,
    }
    if error is None:
        _log.info("llm_call", success=True, **facts)
        return
    # Whatever is not one of ours is the caller hanging up, or a defect that is logged
    # where it is caught.
    code = error.code if isinstance(error, APIError) else type(error).__name__
    detail = error.log_detail if isinstance(error, APIError) else ""
    _log.warning("llm_call", success=False, code=code, detail=detail, **facts)

"""What the log and the metrics say of a call that is over."""

from llm_proxy.accounting import Booked, Outcome
from llm_proxy.errors import APIError
from llm_proxy.telemetry import Metrics, get_logger

_log = get_logger(__name__)


def report(outcome: Outcome, booked: Booked, metrics: Metrics, project: str) -> None:
    """Count a call, and log what it has used; nothing of what was said.

    Args:
        outcome: What has become of it.
        booked: What it has used.
        metrics: Count.
        project: What calls are for that do not say so.
    """
    _count(outcome, booked, metrics)
    _tell(outcome, booked, project)


def _count(outcome: Outcome, booked: Booked, metrics: Metrics) -> None:
    for tried in outcome.tried:
        metrics.observe_attempt(tried.target.provider, tried.outcome)
    for target, cost in booked.costs:
        metrics.observe_cost(target.provider, target.model, cost.nanos)
    metrics.observe_call(
        provider=outcome.target.provider,
        model=outcome.target.model,
        ok=outcome.error is None,
        seconds=outcome.seconds,
        usage=outcome.usage,
    )


def _tell(outcome: Outcome, booked: Booked, project: str) -> None:
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
        "cost": booked.dollars,
        "cost_source": booked.cost_source,
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

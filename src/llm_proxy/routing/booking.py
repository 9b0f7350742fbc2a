"""What is noted of an attempt: in the deployment's health, the trace and the log."""

from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    LLMAPIError,
    LLMTimeoutError,
    UnsupportedFeatureError,
)
from llm_proxy.routing.health import Attempt
from llm_proxy.routing.plan import Plan
from llm_proxy.routing.step import Step
from llm_proxy.routing.trace import Outcome, Trace, Tried
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)


def book(
    trace: Trace, step: Step, attempt: Attempt, error: BaseException | None = None
) -> None:
    """Note how an attempt has gone.

    One that answers is left open, for whoever reads the answer to end it.

    Args:
        trace: Of the call.
        step: What led to it.
        attempt: The attempt.
        error: What went wrong; None if an answer has begun to come.
    """
    if error is None:
        attempt.answering()
    else:
        attempt.end(None if _is_alive(error) else error)
    if isinstance(error, UnsupportedFeatureError):
        # It was not asked; the plan notes why.
        return
    outcome: Outcome = "answered" if error is None else "abandoned"
    code = detail = ""
    if isinstance(error, APIError):
        outcome, code, detail = "failed", error.code, error.message
    seconds = attempt.seconds
    trace.note_attempt(
        Tried(step.target, outcome, code, detail, seconds, step.wait_seconds)
    )
    if outcome == "abandoned":
        _log.info(
            "llm_attempt_abandoned",
            provider=step.target.provider,
            model=step.target.model,
        )
    if isinstance(error, LLMAPIError):
        _log.warning(
            "llm_attempt_failed",
            provider=step.target.provider,
            model=step.target.model,
            code=code,
            detail=error.log_detail,
            retryAfterSeconds=error.retry_after_seconds,
        )


def book_silence(plan: Plan, step: Step, attempt: Attempt) -> LLMTimeoutError:
    """Note that an attempt has taken all the time that there was for it.

    Args:
        plan: Of the call.
        step: What led to the attempt.
        attempt: The attempt.

    Returns:
        The error that it has failed with.
    """
    if plan.route.is_hurried:
        # The operator grants more, so this says nothing about the deployment.
        attempt.end(TimeoutError())
    error = LLMTimeoutError(provider=step.target.provider, log_detail="no time is left")
    book(plan.trace, step, attempt, error)
    return error


def _is_alive(error: BaseException) -> bool:
    """Say whether a deployment does what it should: it refuses, after it was asked."""
    return isinstance(error, InvalidInputError) and not isinstance(
        error, UnsupportedFeatureError
    )

"""The error for a call that a limit does not let through."""

from collections.abc import Mapping, Sequence

from llm_proxy.errors import (
    APIError,
    BudgetExceededError,
    InvalidInputError,
    RateLimitExceeded,
)
from llm_proxy.limits.claim import Claim, Kind, Standing
from llm_proxy.limits.headers import rate_headers
from llm_proxy.types.money import dollars

# As they are called where they are configured.
_NAMES: Mapping[Kind, str] = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "concurrent": "concurrent_requests",
}
# What comes back sooner, or nobody knows when.
_LEAST_RETRY_SECONDS = 1.0


def check_size(claims: Sequence[Claim]) -> None:
    """Refuse a call that has to wait for ever, which no caller should try again.

    Args:
        claims: What it takes from its limits.

    Raises:
        InvalidInputError: It needs more tokens than fit in an empty minute.
    """
    for claim in claims:
        if claim.kind == "tokens" and claim.amount > claim.limit:
            raise InvalidInputError(
                f"The request may need {claim.amount} tokens, which is more than the "
                f"{claim.limit} tokens per minute of {claim.subject}: shorten the "
                "prompt or ask for fewer output tokens"
            )


def refusal(standings: Sequence[Standing]) -> APIError:
    """Make the error that tells a caller which limits do not let a call through.

    They are the limits of the caller, of those it belongs to, and of the model it asks
    for, so that it learns of nobody else.

    Args:
        standings: How all limits of the call stand, one of them not granted.

    Returns:
        402 where money is missing, whatever else is; otherwise 429.
    """
    refused = [standing for standing in standings if not standing.granted]
    budgets = [standing for standing in refused if standing.claim.kind == "money"]
    if budgets:
        claim, left = budgets[0].claim, budgets[0].remaining
        return BudgetExceededError(
            f"The budget of {claim.subject} ({claim.period}) does not cover the call: "
            f"it may cost up to ${dollars(claim.amount)}, and ${dollars(left)} is left",
            details=[_budget_details(each) for each in budgets],
        )
    claim = refused[0].claim
    kind = _NAMES[claim.kind].replace("_", " ")
    error = RateLimitExceeded(
        f"Rate limit exceeded: {kind} of {claim.subject}",
        details=[_rate_details(each) for each in refused],
        retry_after_seconds=max(
            _LEAST_RETRY_SECONDS, *(each.reset_seconds for each in refused)
        ),
    )
    error.own_headers = tuple(rate_headers(standings))
    return error


def _rate_details(standing: Standing) -> dict[str, object]:
    return {
        "limit": _NAMES[standing.claim.kind],
        "subject": str(standing.claim.subject),
        "remaining": standing.remaining,
    }


def _budget_details(standing: Standing) -> dict[str, object]:
    return {
        "subject": str(standing.claim.subject),
        "period": standing.claim.period,
        "limit": dollars(standing.claim.limit),
        "remaining": dollars(standing.remaining),
    }

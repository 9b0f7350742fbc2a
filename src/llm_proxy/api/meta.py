"""What an answer says about itself."""

import time

from fastapi import Request

from llm_proxy.caching import Replayed
from llm_proxy.exchange import Exchange
from llm_proxy.guardrails import Verdict


def answer_meta(
    request: Request, exchange: Exchange | Replayed, verdict: Verdict
) -> dict[str, object]:
    """Write an answer's ``meta``; its form is `llm_proxy.api.schemas.Meta`.

    Args:
        request: Gives the request's id and when it came.
        exchange: The account of the call, settled or about to be.
        verdict: What the guardrails said.

    Returns:
        JSON values.
    """
    usage = exchange.usage
    return {
        "requestId": request.state.request_id,
        "processing_time": processing_time(request),
        "model": exchange.model or exchange.target.model,
        "finish_reason": exchange.finish_reason,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "source": usage.source,
        },
        "cost": "0" if isinstance(exchange, Replayed) else exchange.cost,
        "cached": isinstance(exchange, Replayed),
        "pii": verdict.pii,
        "injection": verdict.injection,
    }


def processing_time(request: Request) -> float:
    """Say how long a request has taken so far.

    Args:
        request: Gives when it came.

    Returns:
        Seconds, to the microsecond.
    """
    started: float = request.state.started
    return round(time.perf_counter() - started, 6)

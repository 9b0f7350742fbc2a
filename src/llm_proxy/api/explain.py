"""Why a call goes where it goes: a dry run, and what became of the latest calls."""

import asyncio
from typing import Any

from fastapi import Request, Response

from llm_proxy.accounting import Accounts
from llm_proxy.api.admission import admit
from llm_proxy.api.body import read_json
from llm_proxy.api.calls import check_model, wished_route
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.inquiries import read_model_name
from llm_proxy.api.v1.surfaces import OPENAI
from llm_proxy.errors import APIError
from llm_proxy.pricing import Rates
from llm_proxy.routing import (
    Catalog,
    Condition,
    Deployment,
    Plan,
    Policy,
    Route,
    Trace,
    Traces,
)
from llm_proxy.settings import Settings
from llm_proxy.types import Principal
from llm_proxy.wire import Asked, Inquiry, latest_texts


async def explain(request: Request) -> Response:
    """Say where a request would go and why, without sending it anywhere."""
    caller = await admit(request, "api")
    settings: Settings = request.app.state.settings
    body, fields = await read_json(request, settings.max_v1_body_bytes)
    model = read_model_name(fields)
    route = _route(request, caller, model, fields)
    inquiry = Inquiry(OPENAI, body, Asked("", 0, model, fields), stream=False)
    policy: Policy = request.app.state.policy
    now = asyncio.get_running_loop().time
    trace = Trace()
    plan = Plan(route, policy, trace, now() + route.deadline_seconds, now)
    step = plan.next()
    candidates = [
        {"tier": number, **_describe(request, deployment, route, inquiry)}
        for number, tier in enumerate(route.tiers)
        for deployment in tier
    ]
    data = {
        "model": model,
        "chosen": None if step is None else str(step.target),
        "waitSeconds": 0.0 if step is None else step.wait_seconds,
        "problem": plan.take_problem().code if step is None else None,
        "reason": route.reason or None,
        "candidates": candidates,
        "policy": _policy(request, caller, route),
    }
    return _answer(request, data)


async def show_trace(request: Request) -> Response:
    """Say what became of one of the caller's latest calls."""
    caller = await admit(request, "api")
    traces: Traces = request.app.state.traces
    trace = traces.get(caller.name, request.path_params["id"])
    answered = trace.answered_by
    data = {
        "id": trace.id,
        "model": trace.model,
        "reason": trace.note or None,
        "answeredBy": None if answered is None else str(answered),
        "attempts": [
            {
                "provider": tried.target.provider,
                "model": tried.target.model,
                "outcome": tried.outcome,
                "code": tried.code or None,
                "detail": tried.detail or None,
                "seconds": round(tried.seconds, 6),
                "waitedSeconds": round(tried.waited_seconds, 6),
            }
            for tried in trace.tried
        ],
    }
    return _answer(request, data)


def _route(
    request: Request, caller: Principal, model: str, fields: dict[str, Any]
) -> Route:
    catalog: Catalog = request.app.state.catalog

    def prompt() -> str:
        return str(fields.get("prompt") or "\n".join(latest_texts(fields)))

    provider = fields.get("provider")
    if isinstance(provider, str):
        route = catalog.route(provider, model, prompt)
    else:
        route = catalog.resolve(model, prompt)
    check_model(caller, model, route)
    return wished_route(request, caller, route, fields)


def _describe(
    request: Request, deployment: Deployment, route: Route, inquiry: Inquiry
) -> dict[str, Any]:
    catalog: Catalog = request.app.state.catalog
    policy: Policy = request.app.state.policy
    target = deployment.target
    accounts: Accounts = request.app.state.accounts
    price = accounts.price(target)
    problem: str | None = None
    try:
        provider = catalog.factory.get_provider(
            target.provider, target.model, route.timeouts
        )
        if "messages" in inquiry.asked.fields:
            provider.check(inquiry)
    except APIError as error:
        problem = error.message
    return {
        "provider": target.provider,
        "model": target.model,
        "weight": deployment.weight,
        "health": _health(policy.health.condition(target)),
        "retriesLeft": policy.budget.left(target.provider),
        "contextWindow": catalog.window_of(deployment),
        "price": None if price is None else _price(price),
        "problem": problem,
    }


def _health(condition: Condition) -> dict[str, Any]:
    latency = condition.latency_seconds
    return {
        "state": condition.state,
        "seconds": round(condition.seconds, 3),
        "code": condition.code or None,
        "inFlight": condition.in_flight,
        "latencySeconds": None if latency is None else round(latency, 6),
        "failures": condition.failures,
    }


def _price(rates: Rates) -> dict[str, str]:
    """Write a price in words, since JSON's numbers are no decimals."""
    return {"input": str(rates.input), "output": str(rates.output)}


def _policy(request: Request, caller: Principal, route: Route) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    standing = request.scope["state"].get("standing")
    limit = None if standing is None else standing.limit
    remaining = None if standing is None else standing.remaining
    own = caller.allowance.requests_per_minute
    if own is not None:
        # What is left of a limit of its own is told with answers alone.
        limit, remaining = own, None
    return {
        "retries": route.retries,
        "deadlineSeconds": route.deadline_seconds,
        "timeouts": {
            "connect": route.timeouts.connect,
            "firstToken": route.timeouts.first_token,
            "idle": route.timeouts.idle,
            "total": route.total_seconds,
        },
        "streamRecovery": route.stream_recovery,
        "hedgeAfter": route.hedge_after,
        "session": route.session.hex() or None,
        "maxInFlight": settings.max_in_flight,
        "rateLimit": limit,
        "rateLimitRemaining": remaining,
    }


def _answer(request: Request, data: dict[str, Any]) -> Response:
    meta = {"requestId": request.state.request_id}
    return json_response({"data": data, "meta": meta})

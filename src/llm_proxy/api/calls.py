"""From a request to a call: where it may go, by its caller's wishes."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from fastapi import Request

from llm_proxy.cache import ANYTHING, CacheControl, read_cache_control
from llm_proxy.call import Call
from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    ModelNotAllowedError,
    UnknownModelError,
)
from llm_proxy.routing import Catalog, Route, StreamRecovery, Trace, Traces, session_of
from llm_proxy.settings import Settings
from llm_proxy.types import Principal

_MOST_FALLBACKS = 8
_LONGEST_WORD = 64


def new_call(
    request: Request,
    principal: Principal,
    feature: str,
    route: Route,
    fields: Mapping[str, Any],
) -> Call:
    """Make the call that a request asks for, and keep its trace.

    Args:
        request: Its headers are read.
        principal: Who asks.
        feature: Which part of the product is used.
        route: Where calls for the model go.
        fields: The body's JSON.

    Returns:
        The call, on its `wished_route`.

    Raises:
        InvalidInputError: A wish cannot be understood.
        ModelNotAllowedError: The caller may not ask that model.
        UnknownModelError: A fallback's name leads nowhere.
    """
    model = str(fields.get("model") or "")
    check_model(principal, model, route)
    route = wished_route(request, principal, route, fields)
    state = request.scope["state"]
    # Who names none has asked for the operator's.
    trace = Trace(state["request_id"], principal.name, model or route.names[0])
    trace.note = route.reason
    state["trace"] = trace
    traces: Traces = request.app.state.traces
    traces.keep(trace)
    headers: Mapping[bytes, bytes] = state["headers"]
    return Call(
        principal,
        _told(headers, b"x-llm-proxy-feature") or feature,
        route,
        trace,
        principal.project or _told(headers, b"x-llm-proxy-project"),
        _told(headers, b"x-llm-proxy-user-id") or _user_of(fields),
        surface=request.scope["route"].access.surface,
        part=feature,
        cache_control=_cache_control(headers),
    )


def _cache_control(headers: Mapping[bytes, bytes]) -> CacheControl:
    value = headers.get(b"cache-control")
    return ANYTHING if value is None else read_cache_control(value.decode("latin-1"))


def _told(headers: Mapping[bytes, bytes], name: bytes) -> str:
    """Read what a call is for, by its caller's word: it goes to logs and reports."""
    value = headers.get(name, b"").decode("latin-1").strip()
    return value[:_LONGEST_WORD] if value.isprintable() else ""


def _user_of(fields: Mapping[str, Any]) -> str:
    """Find whom the caller asks for, where either vendor's dialect has it."""
    metadata = fields.get("metadata")
    told = metadata if isinstance(metadata, Mapping) else {}
    named = (
        fields.get("safety_identifier"),
        fields.get("user"),
        told.get("user_id"),
        told.get("userId"),
    )
    text = next((name for name in named if isinstance(name, str) and name), "")
    return text[:_LONGEST_WORD] if text.isprintable() else ""


def check_model(principal: Principal, model: str, route: Route) -> None:
    """Refuse a model that the caller may not ask.

    Args:
        principal: Who asks.
        model: Its name in the request, to be told; may be empty.
        route: Where calls for it go. Who may ask for it by one of its names may go
            wherever it leads, and who may ask all those that it leads to may call them
            by any name.

    Raises:
        ModelNotAllowedError: The caller may not.
    """
    if principal.models is None or any(map(principal.may_ask, route.names)):
        return
    if not all(principal.may_ask(str(target)) for target in route.targets):
        raise ModelNotAllowedError(details={"model": model})


def wished_route(
    request: Request, principal: Principal, route: Route, fields: Mapping[str, Any]
) -> Route:
    """Change a route to how the caller wishes to be served.

    The wishes stand in headers: ``x-llm-proxy-fallbacks``,
    ``x-llm-proxy-stream-recovery``, ``x-request-timeout`` and ``x-session-id``; the
    SDKs of OpenAI and Anthropic tell their own time-out in ``x-stainless-timeout`` and
    ``x-stainless-read-timeout``.

    Args:
        request: Its headers are read.
        principal: Who asks.
        route: Where calls for the model go.
        fields: The body's JSON.

    Returns:
        The route that the call takes.

    Raises:
        InvalidInputError: A wish cannot be understood.
        UnknownModelError: A fallback's name leads nowhere.
    """
    # One wish of a kind, or a long list of fallbacks could come in parts.
    headers: Mapping[bytes, bytes] = request.scope["state"]["headers"]
    for name, heed in _WISHES.items():
        if name in headers:
            route = heed(route, headers[name].decode("latin-1"), request)
    if route.affinity is not None:
        session = headers.get(b"x-session-id", b"").decode("latin-1")
        digest = session_of(route.affinity, principal.name, fields, session)
        route = replace(route, session=digest)
    return route


def _with_fallbacks(route: Route, value: str, request: Request) -> Route:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if len(names) > _MOST_FALLBACKS:
        problem = f"must be at most {_MOST_FALLBACKS} models"
        raise _wrong("x-llm-proxy-fallbacks", problem)
    catalog: Catalog = request.app.state.catalog
    principal: Principal = request.scope["state"]["caller"]
    tiers, asked = [*route.tiers], [*route.names]
    for name in names:
        try:
            fallback = catalog.resolve(name)
            check_model(principal, name, fallback)
        except (UnknownModelError, ModelNotAllowedError) as error:
            raise _wrong("x-llm-proxy-fallbacks", error.message, type(error)) from None
        tiers += fallback.tiers
        # Whoever is asked in the end, the limits of all that were named count.
        asked += (*fallback.names, str(fallback.first))
    return replace(route, tiers=tuple(tiers), names=tuple(asked))


def _with_recovery(route: Route, value: str, _: Request) -> Route:
    for known in get_args(StreamRecovery):
        if value == known:
            return replace(route, stream_recovery=known)
    raise _wrong("x-llm-proxy-stream-recovery", "must be off, buffer or continue")


def _with_timeout(route: Route, value: str, request: Request) -> Route:
    """Be over by then, with streams as well."""
    seconds = _seconds(value)
    if seconds is None:
        raise _wrong("x-request-timeout", "must be a number of seconds above 0")
    elapsed = time.perf_counter() - request.scope["state"]["started"]
    seconds = max(0.001, seconds - elapsed)
    settings: Settings = request.app.state.settings
    total = min(route.total_seconds or settings.stream_deadline, seconds)
    route = replace(route, total_seconds=total)
    return _hurried(route, seconds)


def _with_sdk_timeout(route: Route, value: str, _: Request) -> Route:
    """Be heard of by then: the SDKs give up on silence, not on long streams."""
    seconds = _seconds(value)
    return route if seconds is None else _hurried(route, seconds)


def _hurried(route: Route, seconds: float) -> Route:
    if seconds >= route.deadline_seconds:
        return route
    return replace(route, deadline_seconds=seconds, is_hurried=True)


_WISHES: Mapping[bytes, Callable[[Route, str, Request], Route]] = {
    b"x-llm-proxy-fallbacks": _with_fallbacks,
    b"x-llm-proxy-stream-recovery": _with_recovery,
    b"x-request-timeout": _with_timeout,
    b"x-stainless-read-timeout": _with_sdk_timeout,
    b"x-stainless-timeout": _with_sdk_timeout,
}


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _wrong(
    header: str, problem: str, kind: type[APIError] = InvalidInputError
) -> APIError:
    return kind(
        f"The header {header} is not valid",
        details=[{"field": header, "problem": problem}],
    )

"""Which address leads to which function."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.routing import BaseRoute, Match
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from llm_proxy.api.chat import chat
from llm_proxy.api.explain import explain, show_trace
from llm_proxy.api.schemas import (
    ChatAnswer,
    ChatBody,
    ErrorAnswer,
    ExplainBody,
    HealthAnswer,
    ModelsAnswer,
    ReadyAnswer,
    WebhookAnswer,
    WebhookBody,
)
from llm_proxy.api.service import health, livez, metrics, models, readyz
from llm_proxy.api.usage import UsageParameters, show_usage
from llm_proxy.api.v1.routes import v1_routes
from llm_proxy.api.webhook import webhook

_ERRORS = {
    400: "The request is not valid",
    401: "No valid API token",
    404: "Not found",
    405: "Method not allowed",
    413: "The body is too large",
    415: "The body is not plain JSON",
    429: "Rate limit exceeded; see Retry-After",
    500: "A defect or a misconfiguration of ours",
    502: "The language model provider failed",
    503: "Overloaded, or the provider is cooling down",
    504: "The language model provider did not answer in time",
}
_OPEN = (429, 500)
_GUARDED = (401, *_OPEN)
_PAID = (400, 404, 413, 415, 502, 503, 504, *_GUARDED)


@dataclass(frozen=True, slots=True)
class _Route:
    """One function and all its addresses, the first being the canonical one."""

    name: str
    endpoint: Callable[[Request], Awaitable[Response]]
    paths: tuple[str, ...]
    method: str
    tag: str
    errors: tuple[int, ...]
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None


_ROUTES = (
    _Route(
        "chat",
        chat,
        ("/api/v1/chat", "/chat"),
        "POST",
        "models",
        _PAID,
        ChatAnswer,
        ChatBody,
    ),
    _Route(
        "webhook",
        webhook,
        ("/api/v1/webhook", "/webhook"),
        "POST",
        "tasks",
        _PAID,
        WebhookAnswer,
        WebhookBody,
    ),
    _Route(
        "models", models, ("/api/v1/models",), "GET", "models", _GUARDED, ModelsAnswer
    ),
    _Route(
        "explain",
        explain,
        ("/api/v1/explain",),
        "POST",
        "models",
        (400, 404, 413, 415, *_GUARDED),
        body=ExplainBody,
    ),
    _Route(
        "trace", show_trace, ("/api/v1/traces/{id}",), "GET", "models", (404, *_GUARDED)
    ),
    _Route(
        "usage",
        show_usage,
        ("/api/v1/usage",),
        "GET",
        "usage",
        (400, 404, 503, *_GUARDED),
        query=UsageParameters,
    ),
    _Route(
        "health",
        health,
        ("/api/v1/health", "/health"),
        "GET",
        "service",
        _OPEN,
        HealthAnswer,
    ),
    _Route("livez", livez, ("/livez",), "GET", "service", _OPEN),
    _Route(
        "readyz", readyz, ("/readyz",), "GET", "service", (503, *_OPEN), ReadyAnswer
    ),
    _Route("metrics", metrics, ("/metrics",), "GET", "service", _GUARDED),
)


class _Served(StarletteRoute):
    """A route that leaves itself in the scope, where the edge finds its template."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        child_scope["route"] = self
        return match, child_scope


class _Fixed(BaseRoute):
    """All routes without parameters, found by their path rather than one by one."""

    def __init__(self, routes: Iterable[_Served]) -> None:
        self._routes = {route.path: route for route in routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        return (Match.NONE, {}) if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)


def install_routes(app: FastAPI) -> None:
    """Give the application its routes, each under all its addresses.

    Args:
        app: Where to install them.
    """
    # Starlette serves the routes and FastAPI, behind it, documents them: the handlers
    # read requests themselves, and FastAPI's own road would add 25 µs to each.
    served = [
        _Served(path, route.endpoint, methods=[route.method])
        for route in _ROUTES
        for path in route.paths
    ]
    served += [
        _Served(route.path, route.endpoint, methods=[route.method])
        for route in v1_routes()
    ]
    app.router.routes.append(
        _Fixed(each for each in served if not each.param_convertors)
    )
    app.router.routes += [each for each in served if each.param_convertors]
    for route in _ROUTES:
        for path in route.paths:
            alias = path != route.paths[0]
            app.add_api_route(
                path,
                route.endpoint,
                methods=[route.method],
                name=route.name,
                operation_id=route.name + ("_alias" if alias else ""),
                summary=(route.endpoint.__doc__ or "").partition("\n")[0],
                tags=[route.tag],
                responses=_responses(route),
                response_class=Response,
                openapi_extra=_extra(route),
            )


def _responses(route: _Route) -> dict[int | str, dict[str, Any]]:
    answer = {"model": route.answer} if route.answer else {}
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": _ERRORS[status]}
        for status in sorted(route.errors)
    }
    return {200: {"description": "Success", **answer}} | errors


def _extra(route: _Route) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if 401 in route.errors:
        extra["security"] = [{"apiToken": []}, {"apiKey": []}, {"bearer": []}]
    if route.body is not None:
        reference = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference}},
        }
    if route.query is not None:
        schema = route.query.model_json_schema()
        extra["parameters"] = [
            {
                "name": name,
                "in": "query",
                "description": each.pop("description"),
                "schema": each,
            }
            for name, each in schema["properties"].items()
        ]
    return extra


def body_models() -> list[type[BaseModel]]:
    """List the models of request bodies, which FastAPI does not see.

    Returns:
        The models that the routes read.
    """
    return [route.body for route in _ROUTES if route.body is not None]

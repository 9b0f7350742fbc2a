"""Which address leads to which function."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from llm_proxy.api.admission import Access
from llm_proxy.api.idempotent import Idempotent
from llm_proxy.api.route_table import ERRORS, ROUTES, DescribedRoute
from llm_proxy.api.schemas import ErrorAnswer
from llm_proxy.api.v1.routes import Endpoint, v1_routes


class _Served(StarletteRoute):
    """A route that leaves itself in the scope, for who asks what it is.

    Args:
        path: Its template.
        endpoint: Answers.
        method: The only one that it takes.
        access: Who may use it.
        name: The canonical address of the endpoint.
    """

    def __init__(
        self, path: str, endpoint: Endpoint, method: str, access: Access, name: str
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.access = access
        if method == "POST" and access.scope == "models:call":
            # What has to be paid must not be paid twice.
            self.app = Idempotent(self.app, name)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        child_scope["route"] = self
        return match, child_scope


class _Fixed(BaseRoute):
    """All routes without parameters, found by their path rather than one by one."""

    def __init__(self, routes: Iterable[_Served]) -> None:
        self._routes: dict[str, dict[str, _Served]] = {}
        for route in routes:
            methods = self._routes.setdefault(route.path, {})
            methods.update(dict.fromkeys(route.methods or (), route))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        methods = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if methods is None:
            return Match.NONE, {}
        route = methods.get(scope["method"]) or next(iter(methods.values()))
        return route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._routes[scope["path"]]
        if scope["method"] not in methods:
            raise HTTPException(405, headers={"Allow": ", ".join(methods)})
        await scope["route"].handle(scope, receive, send)


def install_routes(app: FastAPI) -> None:
    """Give the application its routes, each under all its addresses.

    Args:
        app: Where to install them.
    """
    # Starlette serves the routes and FastAPI only documents them: the handlers read
    # requests themselves, and FastAPI's own road would add 25 µs to each.
    served = [
        _Served(path, route.endpoint, route.method, route.access, route.paths[0])
        for route in ROUTES
        for path in route.paths
    ]
    served += [
        _Served(route.path, route.endpoint, route.method, route.access, route.name)
        for route in v1_routes()
    ]
    app.router.routes.append(
        _Fixed(each for each in served if not each.param_convertors)
    )
    app.router.routes += [each for each in served if each.param_convertors]


def describe_routes() -> list[BaseRoute]:
    """Describe the routes as FastAPI does it.

    Returns:
        Routes to write the OpenAPI document from; nobody serves them.
    """
    return [
        APIRoute(
            path,
            route.endpoint,
            methods=[route.method],
            name=route.name,
            operation_id=route.name + ("_alias" if path != route.paths[0] else ""),
            summary=(route.endpoint.__doc__ or "").partition("\n")[0],
            tags=[route.tag],
            responses=_responses(route),
            response_class=Response,
            openapi_extra=_extra(route),
        )
        for route in ROUTES
        for path in route.paths
    ]


def _responses(route: DescribedRoute) -> dict[int | str, dict[str, Any]]:
    answer = {"model": route.answer} if route.answer else {}
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": ERRORS[status]}
        for status in sorted(route.errors)
    }
    return {route.status: {"description": "Success", **answer}} | errors


def _extra(route: DescribedRoute) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if 401 in route.errors:
        extra["security"] = [{"apiToken": []}, {"apiKey": []}, {"bearer": []}]
    if route.body is not None:
        reference = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        extra["requestBody"] = {
            "required": any(
                field.is_required() for field in route.body.model_fields.values()
            ),
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
    return [route.body for route in ROUTES if route.body is not None]

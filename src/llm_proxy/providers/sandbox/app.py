"""The sandbox as an ASGI application."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.endpoint import OPENAI, ReceivedRequest
from llm_proxy.providers.sandbox.endpoints import (
    ANTHROPIC,
    ask_model,
    endpoints_by_path,
)
from llm_proxy.providers.sandbox.gemini import list_models, show_model
from llm_proxy.providers.sandbox.headers import with_vendor_headers
from llm_proxy.providers.sandbox.model_list import (
    anthropic_model,
    anthropic_models,
    openai_model,
    openai_models,
)
from llm_proxy.providers.sandbox.models import find_model, model_names
from llm_proxy.providers.sandbox.reply import (
    PlayedResponse,
    Reply,
    Traffic,
    json_reply,
    problem_reply,
)
from llm_proxy.providers.sandbox.responses import ResponseResource, ResponseStore

_KEPT_REQUESTS = 256
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Decide = Callable[[ReceivedRequest], Reply]


def create_sandbox() -> Starlette:
    """Make a sandbox; it has to be served through `SandboxProtocol`.

    Returns:
        The application. ``state.requests`` holds the last 256 `ReceivedRequest`,
        ``state.traffic`` the counts of all, ``state.failures`` what flaky models
        remember. The same is under ``/_sandbox/``.
    """
    failures: Counter[str] = Counter()
    store = ResponseStore()
    responses = ResponseResource(store)
    response = "/v1/responses/{id}"
    app = Starlette(
        routes=[
            *(
                Route(
                    path,
                    _recorded(partial(ask_model, endpoint, failures=failures)),
                    methods=["POST"],
                )
                for path, endpoint in endpoints_by_path(store).items()
            ),
            Route(response, _recorded(responses.show)),
            Route(response, _recorded(responses.delete), methods=["DELETE"]),
            Route(f"{response}/cancel", _recorded(responses.cancel), methods=["POST"]),
            Route(f"{response}/input_items", _recorded(responses.list_input)),
            Route("/v1beta/models", _recorded(list_models)),
            Route("/v1beta/models/{id:path}", _recorded(show_model)),
            Route("/v1/models", _recorded(_list_models)),
            Route("/v1/models/{id:path}", _recorded(_show_model)),
            Route("/_sandbox/requests", _show_requests),
            Route("/_sandbox/requests", _forget_requests, methods=["DELETE"]),
            Route("/_sandbox/stats", _show_stats),
            Route("/{path:path}", _recorded(_find_nothing), methods=_ALL_METHODS),
        ]
    )
    app.state.requests = deque(maxlen=_KEPT_REQUESTS)
    app.state.traffic = Traffic()
    app.state.failures = failures
    return app


def _recorded(decide: Decide) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint that keeps the request and plays the reply."""

    async def endpoint(request: Request) -> Response:
        path, query = request.scope["raw_path"], request.scope["query_string"]
        received = ReceivedRequest(
            method=request.method,
            path=(path + b"?" + query if query else path).decode("latin-1"),
            headers=dict(request.headers),
            body=await request.body(),
        )
        state = request.app.state
        state.requests.append(received)
        state.traffic.requests += 1
        return PlayedResponse(with_vendor_headers(decide(received)), state.traffic)

    return endpoint


def _list_models(request: ReceivedRequest) -> Reply:
    names = model_names()
    if _asks_anthropic(request):
        return _reply_about_models(request, anthropic_models(names, request.query))
    return _reply_about_models(request, openai_models(names))


def _show_model(request: ReceivedRequest) -> Reply:
    path, _, _ = request.path.partition("?")
    name = unquote(path.removeprefix("/v1/models/"))
    if find_model(name) is None:
        return _reply_about_models(request, _dialect_of(request).unknown_model(name))
    describe = anthropic_model if _asks_anthropic(request) else openai_model
    return _reply_about_models(request, describe(name))


def _reply_about_models(
    request: ReceivedRequest, value: dict[str, Any] | Problem
) -> Reply:
    dialect = _dialect_of(request)
    value = dialect.check_credentials(request.headers) or value
    if isinstance(value, Problem):
        return problem_reply(dialect, value, request.id)
    return json_reply(dialect, value, request.id)


def _dialect_of(request: ReceivedRequest) -> Dialect:
    return ANTHROPIC if _asks_anthropic(request) else OPENAI


def _asks_anthropic(request: ReceivedRequest) -> bool:
    return "anthropic-version" in request.headers


def _find_nothing(request: ReceivedRequest) -> Reply:
    problem = Problem(404, f"Unknown request URL: {request.method} {request.path}.")
    return problem_reply(OPENAI, problem, request.id)


async def _show_requests(request: Request) -> Response:
    return JSONResponse(
        [
            asdict(received) | {"body": received.body.decode(errors="replace")}
            for received in request.app.state.requests
        ]
    )


async def _forget_requests(request: Request) -> Response:
    request.app.state.requests.clear()
    return Response(status_code=204)


async def _show_stats(request: Request) -> Response:
    return JSONResponse(asdict(request.app.state.traffic))

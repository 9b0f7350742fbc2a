"""The sandbox as an ASGI application."""

import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm_proxy.providers.sandbox.answers import answer_to
from llm_proxy.providers.sandbox.anthropic import Anthropic
from llm_proxy.providers.sandbox.behaviour import Exchange
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.models import find_model, model_names
from llm_proxy.providers.sandbox.openai import OpenAI
from llm_proxy.providers.sandbox.reply import (
    PlayedResponse,
    Reply,
    Traffic,
    json_reply,
    problem_reply,
)

_OPENAI = OpenAI()
_ANTHROPIC = Anthropic()
_KEPT_REQUESTS = 256
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path and query.
        headers: Header names, in lower case, and values.
        body: The body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def create_sandbox() -> Starlette:
    """Make a sandbox; it has to be served through `SandboxProtocol`.

    Returns:
        The application. ``state.requests`` holds the last 256 `ReceivedRequest`,
        ``state.traffic`` the counts of all, ``state.failures`` what flaky models
        remember. The same is under ``/_sandbox/``.
    """
    app = Starlette(
        routes=[
            Route(
                "/v1/chat/completions",
                _recorded(partial(_converse, _OPENAI)),
                methods=["POST"],
            ),
            Route(
                "/v1/messages",
                _recorded(partial(_converse, _ANTHROPIC)),
                methods=["POST"],
            ),
            Route("/v1/models", _recorded(_list_models)),
            Route("/_sandbox/requests", _show_requests),
            Route("/_sandbox/requests", _forget_requests, methods=["DELETE"]),
            Route("/_sandbox/stats", _show_stats),
            Route("/{path:path}", _recorded(_find_nothing), methods=_ALL_METHODS),
        ]
    )
    app.state.requests = deque(maxlen=_KEPT_REQUESTS)
    app.state.traffic = Traffic()
    app.state.failures = Counter()
    return app


def _recorded(
    decide: Callable[[ReceivedRequest, Counter[str]], Reply],
) -> Callable[[Request], Awaitable[Response]]:
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
        return PlayedResponse(decide(received, state.failures), state.traffic)

    return endpoint


def _converse(
    dialect: Dialect, request: ReceivedRequest, failures: Counter[str]
) -> Reply:
    request_id = _id_of(request)
    question = dialect.check_credentials(request.headers) or dialect.read(request.body)
    if isinstance(question, Problem):
        return problem_reply(dialect, question, request_id)
    found = find_model(question.model)
    if found is None:
        unknown = dialect.unknown_model(question.model)
        return problem_reply(dialect, unknown, request_id)
    model, number = found
    if model.streams_only and not question.stream:
        problem = Problem(400, "This model of the sandbox needs 'stream': true.")
        return problem_reply(dialect, problem, request_id)
    answer = answer_to(question, request_id)
    return model.behave(
        Exchange(dialect, question, answer, request_id, number, failures)
    )


def _list_models(request: ReceivedRequest, _: Counter[str]) -> Reply:
    asks_anthropic = "anthropic-version" in request.headers
    dialect: Dialect = _ANTHROPIC if asks_anthropic else _OPENAI
    request_id = _id_of(request)
    problem = dialect.check_credentials(request.headers)
    if problem is not None:
        return problem_reply(dialect, problem, request_id)
    return json_reply(dialect, dialect.models(model_names()), request_id)


def _find_nothing(request: ReceivedRequest, _: Counter[str]) -> Reply:
    problem = Problem(404, f"Unknown request URL: {request.method} {request.path}.")
    return problem_reply(_OPENAI, problem, _id_of(request))


def _id_of(request: ReceivedRequest) -> str:
    return hashlib.sha256(request.body).hexdigest()[:24]


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

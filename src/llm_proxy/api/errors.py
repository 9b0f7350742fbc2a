"""How errors leave the service: one envelope, rendered in one place."""

import math
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from slowapi.errors import RateLimitExceeded as SlowAPIRateLimitExceeded
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.api.admission import Admission
from llm_proxy.api.connection import ClientDisconnectedError
from llm_proxy.api.v1.surfaces import own_headers, surface_of
from llm_proxy.errors import (
    APIError,
    AuthenticationError,
    InternalError,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    RateLimitExceeded,
    UnsupportedMediaTypeError,
)
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)

# The SDKs of OpenAI and Anthropic take more for a mistake and come back within seconds.
_MOST_RETRY_AFTER_SECONDS = 60
_BY_STATUS: Mapping[int, type[APIError]] = {
    400: InvalidInputError,
    401: AuthenticationError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    422: InvalidInputError,
    429: RateLimitExceeded,
}


def error_body(error: APIError, request_id: str) -> dict[str, Any]:
    """Write an error in the native envelope.

    Args:
        error: What went wrong.
        request_id: The id in the response's header and in the logs.

    Returns:
        ``{"error": {"code", "message", "details", "requestId"}}``.
    """
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "details": error.details,
            "requestId": request_id,
        }
    }


def error_response(error: APIError, scope: Scope) -> Response:
    """Render an error as a response.

    Args:
        error: What went wrong.
        scope: The ASGI scope of the request.

    Returns:
        The response, with ``Retry-After``, ``WWW-Authenticate`` and ``x-should-retry``
        where they apply.
    """
    state = scope["state"]
    state["error_code"] = error.code
    headers: dict[str, str] = {}
    if error.retry_after_seconds is not None:
        seconds = math.ceil(error.retry_after_seconds)
        headers["retry-after"] = str(min(max(1, seconds), _MOST_RETRY_AFTER_SECONDS))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if isinstance(error, AuthenticationError):
        headers["www-authenticate"] = 'Bearer realm="llm-proxy"'
    surface = surface_of(scope)
    if surface is None:
        status, body = error.status, error_body(error, state["request_id"])
    else:
        status, body = surface.encode_error(error, state["request_id"])
    response = Response(orjson.dumps(body), status, headers, "application/json")
    response.raw_headers += error.own_headers
    if surface is not None:
        response.raw_headers += error.headers
        response.raw_headers += own_headers(surface, state["request_id"])
    return response


def describe(error: ValidationError | RequestValidationError) -> InvalidInputError:
    """Say which fields are wrong, without repeating what stood in them.

    Args:
        error: pydantic's findings.

    Returns:
        The error to raise; its details are one ``{field, problem}`` each.
    """
    details = [
        {
            "field": ".".join(str(part) for part in found["loc"]) or "body",
            "problem": found["msg"].removeprefix("Value error, "),
        }
        for found in error.errors()
    ]
    fields = ", ".join(dict.fromkeys(detail["field"] for detail in details))
    return InvalidInputError(f"The request is not valid: {fields}", details=details)


def install_error_handlers(app: FastAPI, admission: Admission) -> None:
    """Give every error of ours and of the framework the same envelope.

    Args:
        app: Where to install them.
        admission: Counts requests that reached no route.
    """

    @app.exception_handler(APIError)
    async def api_error(request: Request, error: APIError) -> Response:
        # A service that is full has other things to do than to say so at length.
        if error.status >= 500 and not isinstance(error, OverloadedError):
            _log.error(
                error.code,
                status=error.status,
                detail=error.log_detail,
                exc_info=None if error.is_operational else error,
            )
        return error_response(error, request.scope)

    @app.exception_handler(HTTPException)
    @app.exception_handler(SlowAPIRateLimitExceeded)
    async def http_error(request: Request, error: HTTPException) -> Response:
        kind = _BY_STATUS.get(error.status_code, InternalError)
        try:
            # Requests that reach no route are counted nowhere else.
            admission.admit_anyone(request, "api")
            response = error_response(kind(), request.scope)
        except RateLimitExceeded as exceeded:
            response = error_response(exceeded, request.scope)
        if error.headers and "allow" in {name.lower() for name in error.headers}:
            response.headers["allow"] = error.headers["Allow"]
        return response

    @app.exception_handler(RequestValidationError)
    async def validation_error(
        request: Request, error: RequestValidationError
    ) -> Response:
        return error_response(describe(error), request.scope)


class FaultBoundary:
    """Turns what nobody expected into a 500, inside of all other middleware.

    Starlette's own handler stands outside of the middleware, so its answers would lack
    the request id, the security headers and CORS.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        started = False

        def watch(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnectedError:
            return
        except Exception as error:
            if scope["type"] != "http":
                raise
            _log.error("unhandled_exception", exc_info=error)
            if started:
                # The head is out; only closing the connection tells the truth now.
                raise
            await error_response(InternalError(), scope)(scope, receive, send)

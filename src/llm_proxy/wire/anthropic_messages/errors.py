"""Our errors in the vendor's words.

Source: the Anthropic API reference, "Errors".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.errors import (
    APIError,
    AuthenticationError,
    LLMContentFilteredError,
    LLMRateLimitedError,
    LLMUnavailableError,
    UnsupportedFeatureError,
    UnsupportedModelError,
)
from llm_proxy.wire.anthropic_messages.stream_writer import write_event
from llm_proxy.wire.surface import ErrorAnswer

_INVALID_REQUEST = "invalid_request_error"
_OVERLOADED = 529
# Only where the vendor's status is another than that of the class.
_STATUSES: Mapping[type[APIError], int] = {
    UnsupportedModelError: 404,
    LLMRateLimitedError: 429,
    LLMContentFilteredError: 400,
}
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    _OVERLOADED: "overloaded_error",
}


def write_error(error: APIError, request_id: str) -> ErrorAnswer:
    """Write an error.

    Args:
        error: What went wrong.
        request_id: Of the request.

    Returns:
        The status, and ``{"type": "error", "error": {"type", "message"}}``. What cannot
        be translated, and what a provider has a code for, is told by
        ``error.details.error_code`` as well.
    """
    status = _status(error)
    default = _INVALID_REQUEST if status < 500 else "api_error"
    told: dict[str, Any] = {
        "type": _TYPES.get(status, default),
        "message": _message(error),
    }
    code = _code(error)
    if code:
        told["details"] = {"error_code": code}
    body = {"type": "error", "error": told, "request_id": request_id}
    return ErrorAnswer(status, body)


def write_error_event(error: APIError, request_id: str) -> bytes:
    """Write the error that ends a stream.

    Args:
        error: What went wrong.
        request_id: Of the request.

    Returns:
        An ``error`` event with the body of `write_error`.
    """
    return write_event("error", write_error(error, request_id).body)


def _status(error: APIError) -> int:
    if isinstance(error, LLMUnavailableError) and error.upstream_status == _OVERLOADED:
        return _OVERLOADED
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return status
    return error.status


def _code(error: APIError) -> str:
    if error.vendor is not None and error.vendor.code:
        return error.vendor.code
    return error.code.lower() if isinstance(error, UnsupportedFeatureError) else ""


def _message(error: APIError) -> str:
    if error.vendor is not None and error.vendor.message:
        return error.vendor.message
    if isinstance(error, AuthenticationError):
        return "invalid x-api-key"
    problems = _problems(error.details)
    if not problems:
        return error.message
    # Like the vendor: the field and what is wrong with it, and no more than that.
    if error.message == error.default_message:
        return problems
    return f"{error.message} ({problems})"


def _problems(details: object) -> str:
    if not isinstance(details, list | tuple):
        return ""
    pairs = [
        (detail.get("field"), detail.get("problem"))
        for detail in details
        if isinstance(detail, dict)
    ]
    return "; ".join([f"{field}: {problem}" for field, problem in pairs if field])

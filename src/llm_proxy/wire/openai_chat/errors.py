"""Errors as OpenAI's API writes them, on all of its surfaces.

Source: the OpenAI API reference, "Error codes"; what its SDK makes of a status is in
``openai/_client.py``, ``_make_status_error``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from llm_proxy.errors import (
    APIError,
    AuthenticationError,
    BudgetExceededError,
    ForbiddenError,
    IdempotencyConflictError,
    IdempotencyMismatchError,
    InvalidInputError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    MethodNotAllowedError,
    ModelNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    PromptInjectionError,
    PromptTooLongError,
    RateLimitExceeded,
    UnsupportedFeatureError,
    UnsupportedMediaTypeError,
    UnsupportedModelError,
)
from llm_proxy.wire.surface import ErrorAnswer


class _Words(NamedTuple):
    """How an error is told; None stands for what the error itself says."""

    kind: str
    code: str | None
    status: int | None = None
    param: str | None = None


_INVALID = "invalid_request_error"
# The first one that fits counts, so what is special stands before what is general.
_WORDS: Mapping[type[APIError], _Words] = {
    PromptInjectionError: _Words(_INVALID, "prompt_injection", param="messages"),
    PromptTooLongError: _Words(_INVALID, "context_length_exceeded", param="messages"),
    UnsupportedFeatureError: _Words(_INVALID, "unsupported_feature"),
    UnsupportedModelError: _Words(_INVALID, "model_not_found", 404, "model"),
    InvalidInputError: _Words(_INVALID, None),
    AuthenticationError: _Words(_INVALID, "invalid_api_key"),
    BudgetExceededError: _Words("insufficient_quota", "budget_exceeded"),
    ModelNotAllowedError: _Words(_INVALID, "model_not_allowed", param="model"),
    ForbiddenError: _Words(_INVALID, "forbidden"),
    IdempotencyConflictError: _Words(_INVALID, "idempotency_in_flight"),
    IdempotencyMismatchError: _Words(_INVALID, "idempotency_mismatch"),
    NotFoundError: _Words(_INVALID, "not_found"),
    MethodNotAllowedError: _Words(_INVALID, "method_not_allowed"),
    PayloadTooLargeError: _Words(_INVALID, "payload_too_large"),
    UnsupportedMediaTypeError: _Words(_INVALID, "unsupported_media_type"),
    RateLimitExceeded: _Words("requests", "rate_limit_exceeded"),
    LLMRateLimitedError: _Words("requests", "rate_limit_exceeded", 429),
    LLMContentFilteredError: _Words(_INVALID, "content_filter", 400),
    LLMQuotaExhaustedError: _Words("server_error", "upstream_quota_exhausted"),
    LLMCredentialsError: _Words("server_error", "upstream_credentials_rejected"),
}


def encode_error(error: APIError, request_id: str) -> ErrorAnswer:
    """Write an error.

    Args:
        error: The error.
        request_id: The request's id; this dialect tells it in a header.

    Returns:
        Status and JSON.
    """
    words = _words(error)
    told: dict[str, Any] = {
        "message": _message(error),
        "type": words.kind,
        "param": _field(error) or words.param,
        "code": words.code,
    }
    vendor = error.vendor
    if vendor is not None:
        told["type"] = vendor.type or words.kind
        told["param"] = vendor.param or told["param"]
        told["code"] = vendor.code or words.code
    return ErrorAnswer(words.status or error.status, {"error": told})


def error_event(error: APIError, request_id: str) -> bytes:
    """Write the error that ends a stream.

    Args:
        error: The error.
        request_id: As in `encode_error`.

    Returns:
        One event.
    """
    return b"data: %b\n\n" % orjson.dumps(encode_error(error, request_id).body)


def _words(error: APIError) -> _Words:
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return _Words("server_error", error.code.lower())


def _message(error: APIError) -> str:
    if error.vendor is not None and error.vendor.message:
        return error.vendor.message
    problems = [
        f"{entry['field']}: {entry['problem']}"
        for entry in _entries(error)
        if entry["problem"] not in error.message
    ]
    return f"{error.message} ({'; '.join(problems)})" if problems else error.message


def _field(error: APIError) -> str | None:
    return next((entry["field"] for entry in _entries(error)), None)


def _entries(error: APIError) -> list[dict[str, str]]:
    """Give the entries of `details` that are about a field."""
    details = error.details
    if not isinstance(details, list):
        return []
    return [
        entry
        for entry in details
        if isinstance(entry, dict)
        and isinstance(entry.get("field"), str)
        and isinstance(entry.get("problem"), str)
    ]

import warnings

import orjson
import pytest

from llm_proxy.errors import (
    APIError,
    AuthenticationError,
    AuthenticationThrottledError,
    InternalError,
    InvalidInputError,
    LLMAPIError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMRateLimitedError,
    LLMTimeoutError,
    LLMUnavailableError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PromptTooLongError,
    RateLimitExceeded,
    RequestRejectedError,
    UnknownModelError,
    UnsupportedFeatureError,
    UnsupportedMediaTypeError,
    UnsupportedModelError,
    VendorWords,
)
from llm_proxy.wire.anthropic_messages import AnthropicSurface

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from anthropic.types.shared import ErrorResponse

SURFACE = AnthropicSurface()


class BudgetExhaustedError(APIError):
    status = 402


class ForbiddenError(APIError):
    status = 403


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (InvalidInputError(), 400, "invalid_request_error"),
        (PromptTooLongError(), 400, "invalid_request_error"),
        (UnsupportedFeatureError(), 400, "invalid_request_error"),
        (AuthenticationError(), 401, "authentication_error"),
        (BudgetExhaustedError(), 402, "billing_error"),
        (ForbiddenError(), 403, "permission_error"),
        (NotFoundError(), 404, "not_found_error"),
        (UnsupportedModelError(), 404, "not_found_error"),
        (UnknownModelError(), 404, "not_found_error"),
        (MethodNotAllowedError(), 405, "invalid_request_error"),
        (PayloadTooLargeError(), 413, "request_too_large"),
        (UnsupportedMediaTypeError(), 415, "invalid_request_error"),
        (RateLimitExceeded(), 429, "rate_limit_error"),
        (AuthenticationThrottledError(), 429, "rate_limit_error"),
        (LLMRateLimitedError(upstream_status=429), 429, "rate_limit_error"),
        (InternalError(), 500, "api_error"),
        (APIError(), 500, "api_error"),
        (LLMAPIError(), 502, "api_error"),
        (LLMCredentialsError(upstream_status=401), 502, "api_error"),
        (LLMUnavailableError(upstream_status=500), 502, "api_error"),
        (LLMUnavailableError(upstream_status=529), 529, "overloaded_error"),
        (LLMCoolingDownError(), 503, "overloaded_error"),
        (OverloadedError(), 503, "overloaded_error"),
        (LLMTimeoutError(), 504, "timeout_error"),
    ],
)
def test_every_error_has_the_vendors_status_and_type(error, status, type_):
    answer = SURFACE.encode_error(error, "req_1")
    assert (answer.status, answer.body["error"]["type"]) == (status, type_)


def test_an_error_has_an_envelope():
    assert SURFACE.encode_error(OverloadedError("full"), "req_1").body == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "full"},
        "request_id": "req_1",
    }


def test_the_vendors_client_understands_it():
    body = SURFACE.encode_error(LLMTimeoutError(), "req_1").body
    assert ErrorResponse.model_validate(body).error.type == "timeout_error"


MISSING = [{"field": "messages", "problem": "Field required"}]
TWO = [{"field": "a.0", "problem": "b"}, {"field": "c", "problem": "d"}]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInputError(), "The request is not valid"),
        (InvalidInputError(details=MISSING), "messages: Field required"),
        (InvalidInputError(details=TWO), "a.0: b; c: d"),
        (
            UnsupportedFeatureError("No tools", details=MISSING),
            "No tools (messages: Field required)",
        ),
        (InvalidInputError("Bad", details="a sentence"), "Bad"),
        (InvalidInputError("Bad", details=["a", {}]), "Bad"),
        (AuthenticationError(), "invalid x-api-key"),
    ],
)
def test_the_message_names_the_fields(error, message):
    assert SURFACE.encode_error(error, "").body["error"]["message"] == message


def test_what_the_vendor_said_comes_first():
    error = PromptTooLongError(details=MISSING)
    error.vendor = VendorWords("prompt is too long: 2 > 1", type="any")
    assert SURFACE.encode_error(error, "").body["error"] == {
        "type": "invalid_request_error",
        "message": "prompt is too long: 2 > 1",
    }


def test_the_vendors_code_is_among_the_details():
    error = RequestRejectedError()
    error.vendor = VendorWords("Not found", code="thread_not_found")
    told = SURFACE.encode_error(error, "").body["error"]
    assert told["details"] == {"error_code": "thread_not_found"}


def test_an_error_can_end_a_stream():
    error = LLMUnavailableError(upstream_status=529)
    name, data, *rest = SURFACE.error_event(error, "req_1").split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    body = SURFACE.encode_error(error, "req_1").body
    assert orjson.loads(data.removeprefix(b"data: ")) == body

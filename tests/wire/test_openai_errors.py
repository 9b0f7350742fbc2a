import orjson
import pytest

from llm_proxy import errors
from llm_proxy.errors import APIError, InvalidInputError, VendorWords
from llm_proxy.wire.openai_chat import OpenAIChatSurface, encode_error, error_event

SURFACE = OpenAIChatSurface()


def told(error):
    status, body = encode_error(error, "req")
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return status, body["error"]


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code", "param"),
    [
        ("InvalidInputError", 400, "invalid_request_error", None, None),
        ("MalformedJSONError", 400, "invalid_request_error", None, None),
        ("RequestRejectedError", 400, "invalid_request_error", None, None),
        (
            "PromptTooLongError",
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        (
            "PromptInjectionError",
            400,
            "invalid_request_error",
            "prompt_injection",
            "messages",
        ),
        (
            "UnsupportedFeatureError",
            400,
            "invalid_request_error",
            "unsupported_feature",
            None,
        ),
        (
            "UnsupportedModelError",
            404,
            "invalid_request_error",
            "model_not_found",
            "model",
        ),
        ("UnknownModelError", 404, "invalid_request_error", "model_not_found", "model"),
        ("AuthenticationError", 401, "invalid_request_error", "invalid_api_key", None),
        ("NotFoundError", 404, "invalid_request_error", "not_found", None),
        (
            "MethodNotAllowedError",
            405,
            "invalid_request_error",
            "method_not_allowed",
            None,
        ),
        (
            "PayloadTooLargeError",
            413,
            "invalid_request_error",
            "payload_too_large",
            None,
        ),
        (
            "UnsupportedMediaTypeError",
            415,
            "invalid_request_error",
            "unsupported_media_type",
            None,
        ),
        ("RateLimitExceeded", 429, "requests", "rate_limit_exceeded", None),
        ("AuthenticationThrottledError", 429, "requests", "rate_limit_exceeded", None),
        ("LLMRateLimitedError", 429, "requests", "rate_limit_exceeded", None),
        (
            "LLMQuotaExhaustedError",
            502,
            "server_error",
            "upstream_quota_exhausted",
            None,
        ),
        (
            "LLMCredentialsError",
            502,
            "server_error",
            "upstream_credentials_rejected",
            None,
        ),
        (
            "LLMContentFilteredError",
            400,
            "invalid_request_error",
            "content_filter",
            None,
        ),
        ("LLMTimeoutError", 504, "server_error", "llm_timeout", None),
        ("LLMCoolingDownError", 503, "server_error", "llm_cooling_down", None),
        ("OverloadedError", 503, "server_error", "overloaded", None),
        ("InternalError", 500, "server_error", "internal_error", None),
    ],
)
def test_every_error_has_the_vendors_words(kind, status, type_, code, param):
    error = getattr(errors, kind)()
    assert told(error) == (
        status,
        {
            "message": error.default_message,
            "type": type_,
            "param": param,
            "code": code,
        },
    )


def test_wrong_fields_are_named():
    details = [
        {"field": "messages.0.role", "problem": "must be a string"},
        {"field": "n", "problem": "must be an integer"},
    ]
    _, error = told(InvalidInputError("Not valid", details=details))
    assert error["param"] == "messages.0.role"
    assert error["message"] == (
        "Not valid (messages.0.role: must be a string; n: must be an integer)"
    )


@pytest.mark.parametrize("details", ["words", [1], [{"field": 1, "problem": "p"}], {}])
def test_details_of_another_kind_are_not_about_fields(details):
    _, error = told(InvalidInputError("Not valid", details=details))
    assert (error["message"], error["param"]) == ("Not valid", None)


def test_a_vendors_own_words_go_before_ours():
    error = errors.RequestRejectedError()
    error.vendor = VendorWords("Unknown tone", "theirs", "bad_tone", "tone")
    assert told(error)[1] == {
        "message": "Unknown tone",
        "type": "theirs",
        "param": "tone",
        "code": "bad_tone",
    }


def test_an_error_ends_a_stream_as_one_event():
    error = APIError("Broken")
    event = error_event(error, "req")
    assert event.startswith(b"data: {")
    assert event.endswith(b"\n\n")
    assert orjson.loads(event[6:]) == encode_error(error, "req").body
    assert SURFACE.error_event(error, "req") == event
    assert SURFACE.encode_error(error, "req") == encode_error(error, "req")

"""One tree of errors; status, code and retry advice live on the class.

```
APIError 500
├── InvalidInputError 400 · what the request says
│   └── UnknownProviderError (also a ValueError) …
├── AuthenticationError 401 · NotFoundError 404 · MethodNotAllowedError 405
├── PayloadTooLargeError 413 · UnsupportedMediaTypeError 415
├── RateLimitExceeded 429 · OverloadedError 503
├── InternalError 500 ── ProviderNotConfiguredError (also a ValueError)
└── LLMAPIError 502 · what an upstream does
    └── LLMCoolingDownError 503 · LLMTimeoutError 504 …
```
"""

from typing import ClassVar


class APIError(Exception):
    """Something a caller is told about.

    Args:
        message: Replaces the class's text; shown to the caller, so it must be safe.
        details: More for the caller: a sentence, or one entry per wrong field.
        retry_after_seconds: When it makes sense to ask again.
        log_detail: What operators should read; never sent to the caller.

    Attributes:
        status: HTTP status.
        code: Stable name for programs, UPPER_SNAKE.
        should_retry: What we tell client SDKs in ``x-should-retry``; None says nothing.
            False also where an upstream failed: we have tried again already.
        is_operational: False for a defect of ours rather than a fact of life.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    default_message: ClassVar[str] = "Something went wrong on our side"
    should_retry: ClassVar[bool | None] = False
    is_operational: ClassVar[bool] = True

    def __init__(
        self,
        message: str | None = None,
        *,
        details: object = None,
        retry_after_seconds: float | None = None,
        log_detail: str = "",
    ) -> None:
        self.message = message or self.default_message
        self.details = details
        self.retry_after_seconds = retry_after_seconds
        self.log_detail = log_detail
        super().__init__(self.message)


class InvalidInputError(APIError):
    """The request does not say something we can act on."""

    status = 400
    code = "VALIDATION_ERROR"
    default_message = "The request is not valid"


class MalformedJSONError(InvalidInputError):
    """The body is not JSON that we are willing to read."""

    code = "MALFORMED_JSON"
    default_message = "The request body is not valid JSON"


class PromptTooLongError(InvalidInputError):
    """The text does not fit the model's context window."""

    code = "PROMPT_TOO_LONG"
    default_message = "The prompt is longer than the model can read"


class PromptInjectionError(InvalidInputError):
    """The prompt guard blocked the text."""

    code = "PROMPT_INJECTION"
    default_message = "The prompt was blocked by the prompt guard"


class UnknownProviderError(InvalidInputError, ValueError):
    """No provider has this name."""

    code = "UNKNOWN_PROVIDER"
    default_message = "Unknown provider"


class UnsupportedModelError(InvalidInputError):
    """The provider does not have this model."""

    code = "UNSUPPORTED_MODEL"
    default_message = "The provider does not offer this model"


class RequestRejectedError(InvalidInputError):
    """The provider understood the request and refused its parameters."""

    code = "LLM_REQUEST_REJECTED"
    default_message = "The provider rejected the request's parameters"


class AuthenticationError(APIError):
    """No valid credential came with the request."""

    status = 401
    code = "AUTHENTICATION_ERROR"
    default_message = "Authentication failed: send a valid token as X-API-Token"


class NotFoundError(APIError):
    """Nothing lives at this address."""

    status = 404
    code = "NOT_FOUND"
    default_message = "Not found"


class MethodNotAllowedError(APIError):
    """The address exists and does not take this method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    default_message = "Method not allowed"


class PayloadTooLargeError(APIError):
    """The body has more bytes than the service reads."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"
    default_message = "The request body is too large"


class UnsupportedMediaTypeError(APIError):
    """The body is not JSON, or is compressed."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    default_message = "Send the body as application/json, without compression"


class RateLimitExceeded(APIError):  # noqa: N818 - the seed documents fix this name
    """The caller has used up its requests for now."""

    status = 429
    code = "RATE_LIMIT_EXCEEDED"
    default_message = "Rate limit exceeded"
    should_retry = None


class AuthenticationThrottledError(RateLimitExceeded):
    """Too many failed attempts to authenticate came from this address."""

    code = "TOO_MANY_FAILED_ATTEMPTS"
    default_message = "Rate limit exceeded: too many failed authentication attempts"


class InternalError(APIError):
    """A defect or a misconfiguration of ours."""

    is_operational = False


class ProviderNotConfiguredError(InternalError, ValueError):
    """The provider exists and the operator has not given it what it needs."""

    code = "PROVIDER_NOT_CONFIGURED"
    default_message = "The provider is not configured on this server"
    is_operational = True


class OverloadedError(APIError):
    """The service is full or is shutting down."""

    status = 503
    code = "OVERLOADED"
    default_message = "The service cannot take this request now"
    should_retry = None


class LLMAPIError(APIError):
    """An upstream failed.

    Args:
        message: Replaces the class's text; safe for callers.
        provider: The provider that failed.
        upstream_status: The HTTP status it sent, if it sent one.
        retry_after_seconds: How long the upstream asked us to wait.
        log_detail: What operators should read; never sent to the caller.

    Attributes:
        transient: Whether the same request may succeed when sent again.
    """

    status = 502
    code = "LLM_API_ERROR"
    default_message = "The language model provider failed"
    transient: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        provider: str = "",
        upstream_status: int | None = None,
        retry_after_seconds: float | None = None,
        log_detail: str = "",
    ) -> None:
        super().__init__(
            message, retry_after_seconds=retry_after_seconds, log_detail=log_detail
        )
        self.provider = provider
        self.upstream_status = upstream_status


class LLMConnectionError(LLMAPIError):
    """The upstream could not be reached: DNS, refused, TLS, connect time-out."""

    code = "LLM_CONNECTION_ERROR"
    default_message = "The language model provider could not be reached"
    transient = True


class LLMConnectionLostError(LLMConnectionError):
    """The upstream took the request and closed before it answered."""

    code = "LLM_CONNECTION_LOST"
    default_message = "The language model provider closed the connection"


class LLMUnavailableError(LLMAPIError):
    """The upstream says it cannot answer now: 408, 409, 5xx, 529."""

    code = "LLM_UNAVAILABLE"
    default_message = "The language model provider is unavailable"
    transient = True


class LLMCoolingDownError(LLMAPIError):
    """The upstream failed so often that we leave it alone for a while."""

    status = 503
    code = "LLM_COOLING_DOWN"
    default_message = "The language model provider is down; it is not asked for now"


class LLMRateLimitedError(LLMAPIError):
    """The upstream limits us: 429."""

    code = "LLM_RATE_LIMITED"
    default_message = "The language model provider is limiting our requests"
    transient = True


class LLMCredentialsError(LLMAPIError):
    """The upstream refuses the operator's key: 401, 402, 403."""

    code = "LLM_CREDENTIALS_REJECTED"
    default_message = "The language model provider rejected the server's credentials"


class LLMQuotaExhaustedError(LLMAPIError):
    """The operator's account at the upstream has no money or quota left."""

    code = "LLM_QUOTA_EXHAUSTED"
    default_message = "The server's quota at the language model provider is used up"


class LLMBadResponseError(LLMAPIError):
    """The upstream answered with something that is not an answer."""

    code = "LLM_BAD_RESPONSE"
    default_message = "The language model provider sent an unusable answer"


class LLMStreamBrokenError(LLMBadResponseError):
    """A stream ended before the answer did."""

    code = "LLM_STREAM_BROKEN"
    default_message = "The answer broke off before it was complete"


class LLMContentFilteredError(LLMBadResponseError):
    """The provider's content filter left nothing to show."""

    code = "LLM_CONTENT_FILTERED"
    default_message = "The language model provider filtered the answer"


class LLMTimeoutError(LLMAPIError):
    """The upstream was silent for too long, or all attempts together were."""

    status = 504
    code = "LLM_TIMEOUT"
    default_message = "The language model provider did not answer in time"

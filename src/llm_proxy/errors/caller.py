"""Errors that callers can mend."""

from llm_proxy.errors.base import APIError


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


class UnknownModelError(UnsupportedModelError):
    """Nobody here knows the model."""

    status = 404
    code = "MODEL_NOT_FOUND"
    default_message = "The model does not exist or you do not have access to it"


class UnsupportedFeatureError(InvalidInputError):
    """The request asks for something that the model's provider cannot do."""

    code = "UNSUPPORTED_FEATURE"
    default_message = "The model's provider cannot do what the request asks for"


class AuthenticationError(APIError):
    """No valid credential came with the request."""

    status = 401
    code = "AUTHENTICATION_ERROR"
    default_message = "Authentication failed: send a valid token as X-API-Token"


class ForbiddenError(APIError):
    """The caller is known and may not do this."""

    status = 403
    code = "FORBIDDEN"
    default_message = "Your credential does not allow this"


class ModelNotAllowedError(ForbiddenError):
    """The caller may use other models, but not this one."""

    code = "MODEL_NOT_ALLOWED"
    default_message = "Your credential does not allow this model"


class BudgetExceededError(APIError):
    """There is not enough money left for the call.

    402 and not 429, which SDKs would try again.
    """

    status = 402
    code = "BUDGET_EXCEEDED"
    default_message = "The budget is exhausted"


class IdempotencyConflictError(APIError):
    """The first request with this ``Idempotency-Key`` is still under way."""

    status = 409
    code = "IDEMPOTENCY_IN_FLIGHT"
    default_message = "A request with this Idempotency-Key is still under way"
    should_retry = None


class IdempotencyMismatchError(APIError):
    """The ``Idempotency-Key`` was used for another request."""

    status = 422
    code = "IDEMPOTENCY_MISMATCH"
    default_message = "This Idempotency-Key was used with another request"


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

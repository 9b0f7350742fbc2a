"""Errors of upstreams."""

from typing import ClassVar

from llm_proxy.errors.base import APIError


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

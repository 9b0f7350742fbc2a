"""Which of our errors an upstream's failure is."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from llm_proxy.errors import (
    APIError,
    LLMAPIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    RequestRejectedError,
    UnsupportedFeatureError,
    UnsupportedModelError,
)
from llm_proxy.wire import ErrorDetail, UpstreamFaultError, WireError

_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum context|(prompt|input) is too long|"
    r"too many (input )?tokens|maximum number of tokens",
    re.IGNORECASE,
)
# How Bedrock, OpenRouter, DeepSeek, SiliconFlow, Mistral, GitHub and Hugging Face say
# in a 400 what others say in a 404.
_NO_SUCH_MODEL = re.compile(
    r"model identifier is invalid|is not a valid model id|^model (does )?not exist|"
    r"^(invalid|unknown) model\b|\bmodel_not_found\b",
    re.IGNORECASE,
)
# What a model is to Azure and to NVIDIA besides.
_MODEL = re.compile(r"model|deployment|function", re.IGNORECASE)
_MAX_WAIT_SECONDS = 3600.0
_ABSURD_WAIT_SECONDS = 60.0
_QUOTA_CODES = (
    "insufficient_quota",
    "insufficient_balance",
    "arrearage",
    "not_enough_balance",
    "exceeded_current_quota",
    "billing",
    "spend_limit",
)
# How Anthropic, Z.AI, xAI and Gemini begin what is about the operator's account.
_NO_CREDIT = re.compile(
    r"your credit balance is too low|insufficient balance", re.IGNORECASE
)
# How Azure OpenAI and DashScope refuse a prompt, or cut an answer off.
_FILTERED = ("content_filter", "data_inspection_failed")
_KEY_REFUSED = re.compile(r"incorrect api key|api key not valid", re.IGNORECASE)


def from_transport(error: httpx.TransportError, provider: str) -> LLMAPIError:
    """Say what a failed exchange means.

    Args:
        error: What httpx raised.
        provider: The provider's name.

    Returns:
        The error to raise.
    """
    kind: type[LLMAPIError]
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        kind = LLMConnectionError
    elif isinstance(error, httpx.TimeoutException):
        kind = LLMTimeoutError
    elif isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        kind = LLMConnectionLostError
    else:
        kind = LLMBadResponseError
    return kind(provider=provider, log_detail=type(error).__name__)


def from_status(
    status: int,
    detail: ErrorDetail,
    provider: str,
    headers: httpx.Headers | None = None,
) -> APIError:
    """Say what an error answer means.

    Args:
        status: The HTTP status, or the one that an error inside a 200 stands for.
        detail: What the body says.
        provider: The provider's name.
        headers: The response's; ``retry-after`` is read from them.

    Returns:
        The error to raise. The vendor's sentence is in its `vendor` alone, and only
        where it speaks of the caller's mistake: others may quote the key.
    """
    log_detail = f"status={status} code={detail.code}"
    if any(code in detail.code for code in _FILTERED):
        filtered = LLMContentFilteredError(
            provider=provider, upstream_status=status, log_detail=log_detail
        )
        filtered.vendor = detail.words
        return filtered
    kind = _operators_problem(status, detail)
    if kind is None and _is_callers_mistake(status, detail):
        mistake = _callers_mistake(status, detail)(
            log_detail=f"provider={provider} {log_detail}"
        )
        mistake.vendor = detail.words
        return mistake
    if status == 404:
        log_detail += " (is the base URL right? most end in /v1)"
    wait = read_retry_after(headers) if headers else None
    return (kind or _upstreams_failure(status))(
        provider=provider,
        upstream_status=status,
        log_detail=log_detail,
        retry_after_seconds=detail.retry_after_seconds if wait is None else wait,
    )


def from_fault(fault: UpstreamFaultError, provider: str) -> APIError:
    """Say what an error in the place of an answer means.

    Args:
        fault: What the upstream reported under status 200.
        provider: The provider's name.

    Returns:
        The error to raise.
    """
    return from_status(fault.detail.status or 500, fault.detail, provider)


@contextmanager
def stream_faults(provider: str) -> Generator[None]:
    """Say in our words what goes wrong while a stream is read.

    Args:
        provider: The provider's name.

    Yields:
        Once; what is read inside may raise what the transport and the dialect do.

    Raises:
        APIError: In their place.
    """
    try:
        yield
    except httpx.ReadTimeout as error:
        raise LLMTimeoutError(provider=provider, log_detail="idle stream") from error
    except httpx.TransportError as error:
        raise LLMStreamBrokenError(
            provider=provider, log_detail=type(error).__name__
        ) from error
    except UpstreamFaultError as fault:
        raise from_fault(fault, provider) from fault
    except WireError as error:
        raise LLMStreamBrokenError(provider=provider, log_detail=str(error)) from error


def _operators_problem(status: int, detail: ErrorDetail) -> type[LLMAPIError] | None:
    if (
        status == 402
        or any(code in detail.code for code in _QUOTA_CODES)
        or _NO_CREDIT.match(detail.message)
    ):
        return LLMQuotaExhaustedError
    refused = _KEY_REFUSED.match(detail.message) or "api_key_invalid" in detail.code
    if status in (401, 403) or refused:
        return LLMCredentialsError
    # Groq: the request is larger than what the operator may send in a minute.
    if status == 413 and "rate_limit_exceeded" in detail.code:
        return LLMRateLimitedError
    return None


def _is_callers_mistake(status: int, detail: ErrorDetail) -> bool:
    return status in (400, 413, 422, 501) or (status == 404 and _names_model(detail))


def _callers_mistake(status: int, detail: ErrorDetail) -> type[APIError]:
    if status == 501:
        return UnsupportedFeatureError
    if status == 404 or any(map(_NO_SUCH_MODEL.search, (detail.message, detail.code))):
        return UnsupportedModelError
    if status == 413 or _TOO_LONG.search(f"{detail.code} {detail.message}"):
        return PromptTooLongError
    return RequestRejectedError


def _upstreams_failure(status: int) -> type[LLMAPIError]:
    if status == 429:
        return LLMRateLimitedError
    # 424 is how Bedrock says that the model behind it failed.
    if status in (408, 409, 424) or status >= 500:
        return LLMUnavailableError
    return LLMBadResponseError


def _names_model(detail: ErrorDetail) -> bool:
    """Tell a missing model from a base URL that leads nowhere."""
    return "not_found" in detail.code or bool(_MODEL.search(detail.message))


def read_retry_after(headers: httpx.Headers) -> float | None:
    """Read how long the upstream wants to be left alone.

    Args:
        headers: ``retry-after-ms`` (milliseconds) goes before ``retry-after``
            (seconds, or an HTTP date: RFC 9110, 10.2.3).

    Returns:
        0 to 3600 seconds; a minute for what is more, which nobody can mean; None if
        it does not say or makes no sense.
    """
    seconds = _read_wait(headers)
    if seconds is None:
        return None
    return _ABSURD_WAIT_SECONDS if seconds > _MAX_WAIT_SECONDS else max(0.0, seconds)


def _read_wait(headers: httpx.Headers) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return (when - datetime.now(UTC)).total_seconds()


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    # NaN fails the comparison as well.
    return number if number is not None and 0 <= number < float("inf") else None

"""Reads Converse's errors: bodies of error answers, and exceptions within a stream."""

import re
from collections.abc import Mapping
from typing import Any

from llm_proxy.errors import VendorWords
from llm_proxy.wire.dialect import ErrorDetail, UpstreamFaultError, WireError
from llm_proxy.wire.reading import read_object

# The API's statuses, with one change: the 424 of a model that failed would read as a
# mistake of ours, and asking again may help.
_STATUSES: Mapping[str, int] = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InternalServerException": 500,
    "InvalidSignatureException": 403,
    "ModelErrorException": 502,
    "ModelNotReadyException": 503,
    "ModelStreamErrorException": 502,
    "ModelTimeoutException": 504,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 429,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
# A type may stand between its namespace and a URL: "com.amazon#Name:http://...".
_TYPE = re.compile(r"(?:.*#)?([A-Za-z]{1,64})(?::.*)?")


def read_error(body: bytes) -> ErrorDetail:
    """Read an error body.

    Args:
        body: ``{"message": ...}``, perhaps with ``__type``; or anything else.

    Returns:
        What could be understood. The type usually stands in the response's header
        ``x-amzn-errortype`` alone.
    """
    try:
        error = read_object(body)
    except WireError:
        return ErrorDetail(None, "", "")
    return error_detail(error.get("__type"), error)


def read_exception(kind: str, payload: bytes) -> UpstreamFaultError:
    """Read an exception within a stream.

    Args:
        kind: Its type, such as ``throttlingException``.
        payload: ``{"message": ...}`` or anything else.

    Returns:
        The error to raise.
    """
    try:
        error = read_object(payload)
    except WireError:
        error = {}
    return UpstreamFaultError(error_detail(kind, error))


def error_detail(kind: object, error: Mapping[str, Any]) -> ErrorDetail:
    """Describe an error.

    Args:
        kind: The type, as any of the places says it where types stand.
        error: The body.

    Returns:
        What could be understood.
    """
    match = _TYPE.fullmatch(kind) if isinstance(kind, str) else None
    # Within streams the names of types begin in lower case.
    code = match[1][0].upper() + match[1][1:] if match else ""
    message = error.get("message", error.get("Message"))
    if not isinstance(message, str):
        message = ""
    words = VendorWords(message=message, type=code)
    return ErrorDetail(_STATUSES.get(code), code, message, words)

"""What every dialect can do, and how it says that an upstream's bytes are no use."""

import re
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from llm_proxy.types import ChatRequest, ChatResponse, Chunk


class WireError(ValueError):
    """The bytes are not what the dialect promises; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What an upstream's error body says.

    Attributes:
        status: The HTTP status it stands for, when the body tells.
        code: The vendor's words for the kind of error, type and code together.
        message: The vendor's sentence; for logs, never for callers.
    """

    status: int | None
    code: str
    message: str


class UpstreamFaultError(WireError):
    """The upstream reported an error in the place of an answer."""

    def __init__(self, detail: ErrorDetail) -> None:
        super().__init__(f"{detail.code}: {detail.message}")
        self.detail = detail


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into chunks."""

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        ...

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes; may raise `WireError`."""
        ...

    def close(self) -> None:
        """Check, at the end of the bytes, that the answer is whole, or `WireError`."""
        ...


class Dialect(Protocol):
    """One JSON format of a chat API, as pure functions."""

    @property
    def path(self) -> str:
        """Where requests go, below the base URL."""
        ...

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> bytes:
        """Write the request's body."""
        ...

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer; may raise `WireError`."""
        ...

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Make the decoder of one stream."""
        ...


def read_object(body: bytes) -> dict[str, Any]:
    """Parse one JSON object, strictly.

    Args:
        body: UTF-8 JSON.

    Returns:
        The object.

    Raises:
        WireError: It is not JSON, or not an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise WireError("the body is not a JSON object")
    return value


def read_count(value: object) -> int:
    """Read a token count; nonsense (negative, absurd, no integer) counts as zero.

    Args:
        value: Whatever stood in the usage object.

    Returns:
        0 to 10**10.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**10:
        return value
    return 0


def read_text(value: object) -> str:
    """Read text that may be a string, null, or a list of typed parts.

    Args:
        value: A string, None, or parts like ``{"type": "text", "text": ...}``.

    Returns:
        The text of all text parts together.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [
        part["text"]
        for part in value
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    ]
    return "".join(texts)


# What goes into logs must be a name; an upstream may echo a prompt or a key here.
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,39}")
_STATUS_OF_CODE = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 402,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def read_error(body: bytes) -> ErrorDetail:
    """Read the error body of either vendor, or of anything that resembles them.

    Args:
        body: ``{"error": {"type", "code", "message"}}``, ``{"error": "text"}``,
            or anything else.

    Returns:
        What could be understood.
    """
    try:
        error = read_object(body).get("error")
    except WireError:
        return ErrorDetail(None, "", "")
    return error_detail(error)


def error_detail(error: object) -> ErrorDetail:
    """Read the value of an ``error`` key.

    Args:
        error: An object with ``type``, ``code``, ``message``, or a string.

    Returns:
        What could be understood.
    """
    if not isinstance(error, dict):
        return ErrorDetail(None, "", error if isinstance(error, str) else "")
    kind, code = error.get("type"), error.get("code")
    words = [w for w in (kind, code) if isinstance(w, str) and _CODE.fullmatch(w)]
    if isinstance(code, int) and 400 <= code <= 599:
        status: int | None = code
    else:
        status = next(
            (_STATUS_OF_CODE[w] for w in reversed(words) if w in _STATUS_OF_CODE), None
        )
    message = error.get("message")
    return ErrorDetail(
        status, " ".join(words), message if isinstance(message, str) else ""
    )

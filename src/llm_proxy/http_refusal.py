"""Answers from below the application, to what is not worth calling it for."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain

import orjson


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not read.

    Attributes:
        status: HTTP status.
        code: Stable name for programs.
        message: What the client reads.
        headers: More for the client's HTTP library.
    """

    status: int
    code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def render(self, request_id: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Write the last response of a connection, in the native envelope.

        Args:
            request_id: What the log knows it by.
            headers: Those of every response.

        Returns:
            Head and body.
        """
        error = {"code": self.code, "message": self.message, "details": None}
        body = orjson.dumps({"error": {**error, "requestId": request_id}})
        lines = (
            b"HTTP/1.1 %d %b" % (self.status, HTTPStatus(self.status).phrase.encode()),
            *(b"%b: %b" % header for header in chain(headers, self.headers)),
            b"content-type: application/json",
            b"x-content-type-options: nosniff",
            b"cache-control: private, no-store",
            b"content-length: %d" % len(body),
            b"x-request-id: %b" % request_id.encode(),
            b"connection: close",
            b"",
            body,
        )
        return b"\r\n".join(lines)


_COME_BACK = ((b"retry-after", b"1"),)

MALFORMED = Refusal(400, "MALFORMED_REQUEST", "The request is not valid HTTP/1.1")
UPGRADE_WITH_BODY = Refusal(
    400, "UPGRADE_NOT_SUPPORTED", "A request with a body cannot ask for an upgrade"
)
TOO_MANY_PIPELINED = Refusal(
    400, "TOO_MANY_PIPELINED", "Too many requests were sent ahead of their answers"
)
TOO_SLOW = Refusal(408, "REQUEST_TIMEOUT", "The request did not arrive in time")
HEAD_TOO_LARGE = Refusal(
    431, "REQUEST_HEAD_TOO_LARGE", "The request line and headers are too large"
)
TOO_MANY_CONNECTIONS = Refusal(
    503, "OVERLOADED", "The service has too many connections", _COME_BACK
)
STOPPING = Refusal(503, "OVERLOADED", "The service is shutting down", _COME_BACK)

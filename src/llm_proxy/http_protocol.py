"""uvicorn's HTTP protocol with bounds on what a client may send, and how slowly.

uvicorn reads a request head of any length before anyone is authenticated, and waits
for a head or a body without end. The parser below it refuses most of what request
smuggling needs: Content-Length beside Transfer-Encoding, repeated Content-Length,
folded header lines. This module refuses the rest, adds the bounds, and answers every
refusal with the error body of the native surface.
"""

from asyncio import Transport
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Any, ClassVar
from uuid import uuid4

from llm_proxy.drain import Drain
from llm_proxy.http_flow import Flow, LastAnswer
from llm_proxy.http_refusal import (
    HEAD_TOO_LARGE,
    MALFORMED,
    STOPPING,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_PIPELINED,
    TOO_SLOW,
    UPGRADE_WITH_BODY,
    Refusal,
)
from llm_proxy.telemetry import get_logger

try:
    from uvicorn.protocols.http import httptools_impl as uvicorn_http
except ModuleNotFoundError as missing:
    raise ImportError(
        "llm-proxy serve needs httptools, which exists for CPython only; elsewhere run "
        "`uvicorn llm_proxy.main:app` behind a server that bounds request heads"
    ) from missing

__all__ = ["EdgeLimits", "http_protocol"]

# One read may hold 14 000 requests of 18 bytes, and each takes kilobytes once parsed.
_MAX_PIPELINED = 32
_LINGER_SECONDS = 1.0
# Connections beyond the limit that are told so at a time; the others are just closed.
_MAX_TOLD = 256

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What clients may take of the server before the application decides.

    Attributes:
        max_head_bytes: Bytes of the request line and all headers; as many for what
            frames a chunked body, trailers included.
        head_timeout: Seconds from the first byte of a request, or from connecting, to
            the end of its head. Idle time between requests has its own limit.
        body_timeout: Seconds from the end of the head to the end of the body. Time in
            which we do not read, because the application has not yet asked for more,
            does not count.
        max_connections: Connections that may be open at a time.
    """

    max_head_bytes: int
    head_timeout: float
    body_timeout: float
    max_connections: int


class _RefusedError(Exception):
    """Stops the parser once a request has been refused."""


class _Awaited(Enum):
    """What the client has to send next."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _EdgeProtocol(uvicorn_http.HttpToolsProtocol):
    """uvicorn's protocol for one connection, within `EdgeLimits`."""

    limits: ClassVar[EdgeLimits]
    drain: ClassVar[Drain]
    flow: Flow  # ty: ignore[incompatible-mutable-override]
    # None until the first head is complete.
    cycle: uvicorn_http.RequestResponseCycle | None  # type: ignore[assignment]  # ty: ignore[incompatible-attribute-override]

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self.loop, self._on_deadline)
        self._awaited = _Awaited.HEAD
        # Bytes of head, chunk framing or trailers since anything else has come, counted
        # as they are read: the parser hides a header until it is complete.
        self._framing_bytes = 0
        self._refused = False
        excess = len(self.connections) - self.limits.max_connections
        if excess > _MAX_TOLD:
            transport.abort()
        elif excess > 0:
            self._refuse(TOO_MANY_CONNECTIONS)
        else:
            self.flow.ensure(self.limits.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self.flow.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._awaited is _Awaited.NOTHING:
            self._awaited = _Awaited.HEAD
        self._read_bytes = len(data)
        self._framing_bytes += self._read_bytes
        super().data_received(data)
        self._bound_the_rest()

    def _bound_the_rest(self) -> None:
        """Sets a deadline for what is still to come, unless it is too much already."""
        if self._refused or self._awaited is _Awaited.NOTHING:
            return
        if self._framing_bytes > self.limits.max_head_bytes:
            self._refuse(HEAD_TOO_LARGE)
        elif self._awaited is _Awaited.HEAD:
            self.flow.ensure(self.limits.head_timeout)
        else:
            self.flow.ensure(self.limits.body_timeout)

    def on_message_begin(self) -> None:
        self._awaited = _Awaited.HEAD
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._stop(TOO_MANY_PIPELINED)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        limit = self.limits.max_head_bytes
        # No head is larger than the reads it came in; only then is it worth adding up.
        may_exceed = self._framing_bytes + self._read_bytes > limit
        if may_exceed and self._head_bytes() > limit:
            self._stop(HEAD_TOO_LARGE)
        parser: Any = self.parser
        version = parser.get_http_version()
        if not _is_unambiguous(version, self.url, self.headers):
            self._stop(MALFORMED)
        if parser.should_upgrade() and _announces_body(self.headers):
            # The parser takes such a body for the next request.
            self._stop(UPGRADE_WITH_BODY)
        super().on_headers_complete()
        # Trailers are appended to this list, and the application has the old one:
        # what comes after the body must not change what was authenticated.
        self.headers = []
        self._await_next(_Awaited.BODY)
        if self.expect_100_continue:
            # The client sends once the application asks, which also resumes reading.
            self.flow.pause_reading()
        if self.drain.is_draining:
            self.close_after_answer()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._await_next(_Awaited.NOTHING)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            self._refuse(MALFORMED)

    def close_after_answer(self) -> None:
        """Let the answer under way, if there is one, be the last of the connection."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            # It would close over a body that is still being sent.
            closing: Any = LastAnswer(self.transport, self._close)
            cycle.transport = closing

    def cut(self) -> None:
        """Refuse a request whose body is not here yet: the service stops."""
        cycle = self.cycle
        is_sending = self._awaited is _Awaited.BODY and not self._refused
        if is_sending and cycle is not None and not cycle.response_started:
            self._refuse(STOPPING)

    def shutdown(self) -> None:
        """Close once the answer under way has been sent, or its refusal read."""
        if not self._refused:
            super().shutdown()

    def _close(self) -> None:
        """Closes after the last answer, which the client is to see."""
        if self._awaited is _Awaited.BODY and not self._refused:
            self._refused = True
            self.flow.clear()
            self._hang_up()
        else:
            self.transport.close()

    def _head_bytes(self) -> int:
        # Four bytes of each header line are its colon, space and line end.
        texts = chain([self.url], *self.headers)
        return 4 * len(self.headers) + sum(map(len, texts))

    def _await_next(self, awaited: _Awaited) -> None:
        self._awaited = awaited
        self._framing_bytes = 0
        self.flow.clear()

    def _on_deadline(self) -> None:
        if not self.transport.is_closing():
            self._refuse(TOO_SLOW)

    def _stop(self, refusal: Refusal) -> None:
        """Refuses from within a callback of the parser."""
        self._refuse(refusal)
        raise _RefusedError

    def _refuse(self, refusal: Refusal) -> None:
        """Reads no further, and says why if this request's answer is the next one."""
        self._refused = True
        self.flow.clear()
        request_id = f"req_{uuid4().hex}"
        _log.info("request_refused", code=refusal.code, requestId=request_id)
        in_head = self._awaited is _Awaited.HEAD
        cycle = self.cycle
        if in_head and cycle is not None and not cycle.response_complete:
            # Earlier requests keep their answers; the last one closes the connection.
            cycle.keep_alive = False
            return
        if in_head or cycle is None or not (cycle.response_started or self.pipeline):
            headers = self.server_state.default_headers
            self.transport.write(refusal.render(request_id, headers))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._hang_up()

    def _hang_up(self) -> None:
        """Closes without losing the refusal.

        Closing over unread input resets the connection, and the client may never see
        what was written; so it is read and dropped for a moment (RFC 9112, 9.6).
        """
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def _announces_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


def _is_unambiguous(
    version: str, target: bytes, headers: list[tuple[bytes, bytes]]
) -> bool:
    """Says whether every server on the way reads this head as we do.

    RFC 9112: one Host (3.2), which only HTTP/1.0 may leave out, and which is that of an
    absolute target (3.2.2); no transfer coding but chunked, and none in HTTP/1.0 (6.1).
    """
    # Cheaper than to look at each; only where a name is repeated it hides something.
    fields = dict(headers)
    names = [name for name, _ in headers] if len(fields) < len(headers) else ()
    if version not in ("1.1", "1.0") or names.count(b"host") > 1:
        return False
    coding = fields.get(b"transfer-encoding")
    if coding is not None and (
        coding.lower() != b"chunked"
        or version == "1.0"
        or names.count(b"transfer-encoding") > 1
    ):
        return False
    host = fields.get(b"host")
    if host is None:
        return version == "1.0"
    if target.startswith(b"/"):
        return True
    authority = target.partition(b"://")[2].partition(b"/")[0]
    return authority.lower() in (b"", host.lower())


def http_protocol(
    limits: EdgeLimits, drain: Drain
) -> type[uvicorn_http.HttpToolsProtocol]:
    """Returns the protocol class to give to uvicorn as ``http``.

    Args:
        limits: The bounds that its connections obey.
        drain: Knows whether connections should still be kept for later requests.
    """
    return type("Protocol", (_EdgeProtocol,), {"limits": limits, "drain": drain})

"""What every request gets: an id, an address, safe headers, one line in the log."""

import os
import re
import time
from collections.abc import Awaitable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.limits import Standing
from llm_proxy.routing import Trace
from llm_proxy.security import ClientAddress
from llm_proxy.telemetry import Metrics, get_logger, request_context

_log = get_logger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_SECURITY_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-store"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# What nginx and load balancers write when the client has left.
_CLIENT_CLOSED_REQUEST = 499
_QUIET_ROUTES = frozenset(("/livez", "/readyz", "/health", "/api/v1/health"))


class Edge:
    """The outermost middleware.

    It leaves ``request_id``, ``client_ip``, ``started``, the server's ``send``, and the
    last of each of the ``headers`` in ``scope["state"]`` and reads ``principal``,
    ``standing`` and ``error_code``, where others have left them.

    Args:
        app: The application inside.
        addresses: Finds the client behind proxies.
        metrics: Counts requests.
    """

    def __init__(
        self, app: ASGIApp, addresses: ClientAddress, metrics: Metrics
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["started"] = started = time.perf_counter()
        state["send"] = send
        self._identify(scope)
        status = _CLIENT_CLOSED_REQUEST

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _complete(message.get("headers", ()), state)
            return send(message)

        with request_context(state["request_id"]):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                # It leads back to the scope, and the collector would have to find that.
                del state["send"]
                self._account(scope, status, time.perf_counter() - started)

    def _identify(self, scope: Scope) -> None:
        state = scope["state"]
        state["headers"] = headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id")
        forwarded_for = b""
        if b"x-forwarded-for" in headers:
            values = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
            forwarded_for = b",".join(values)
        if request_id is not None and _REQUEST_ID.fullmatch(request_id):
            state["request_id"] = request_id.decode("ascii")
        else:
            state["request_id"] = f"req_{os.urandom(16).hex()}"
        peer = scope["client"][0] if scope.get("client") else "unknown"
        state["client_ip"] = self._addresses.of(peer, forwarded_for.decode("latin-1"))
        state["is_https"] = scope["scheme"] == "https" or (
            headers.get(b"x-forwarded-proto") == b"https"
            and self._addresses.is_trusted(peer)
        )

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"]
        self._metrics.observe_http(route, method, status, seconds)
        if (code := state.get("error_code")) is not None:
            self._metrics.observe_error(code)
        if route in _QUIET_ROUTES and status < 400:
            # Probes come every few seconds and say nothing.
            log = _log.debug
        else:
            log = _log.info if status < 400 else _log.warning
        log(
            "request",
            method=method,
            route=route,
            path=scope["path"] if route == "unmatched" else None,
            status=status,
            code=code,
            latency_ms=round(seconds * 1000, 1),
            client_ip=state["client_ip"],
            userId=state.get("principal"),
        )


def _complete(
    headers: Iterable[tuple[bytes, bytes]], state: dict[str, object]
) -> list[tuple[bytes, bytes]]:
    """Add the headers that every response has, where the route has not set them."""
    complete = list(headers)
    names = {name for name, _ in complete}
    complete += [header for header in _SECURITY_HEADERS if header[0] not in names]
    complete.append((b"x-request-id", str(state["request_id"]).encode("ascii")))
    if state["is_https"]:
        complete.append(_HSTS)
    trace = state.get("trace")
    if isinstance(trace, Trace):
        complete.append((b"x-llm-proxy-trace", trace.id.encode("ascii")))
        complete.append((b"x-llm-proxy-attempts", b"%d" % trace.attempts))
        if trace.answered_by is not None:
            name = str(trace.answered_by).encode("ascii", "replace")
            complete.append((b"x-llm-proxy-model", name))
        if trace.headers:
            # What an upstream says of its own limits is not what holds here.
            told = {name for name, _ in trace.headers}
            complete = [header for header in complete if header[0] not in told]
            complete += trace.headers
    standing = state.get("standing")
    if isinstance(standing, Standing):
        complete += (
            (b"x-ratelimit-limit", b"%d" % standing.limit),
            (b"x-ratelimit-remaining", b"%d" % standing.remaining),
            (b"x-ratelimit-reset", b"%d" % (standing.reset + 1)),
        )
    return complete

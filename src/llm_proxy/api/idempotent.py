"""`Idempotency-Key`: a request that is sent again is answered as the first time.

The header and the statuses are those of draft-ietf-httpapi-idempotency-key-header;
the rest is Stripe's (https://docs.stripe.com/api/idempotent_requests), except that
errors are not kept.
"""

import re
from collections.abc import Awaitable

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.api.admission import Admission, admit
from llm_proxy.api.body import check_head, read_bytes
from llm_proxy.api.v1.surfaces import own_headers, surface_of
from llm_proxy.errors import InvalidInputError
from llm_proxy.idempotency import Claim, Lease, SavedAnswer, Store, digest
from llm_proxy.settings import Settings
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)
_HEADER = b"idempotency-key"
_KEY = re.compile(rb"[\x20-\x7e]{1,255}")
_MAX_ANSWER_BYTES = 8 * 1024 * 1024
# What changes the answer and does not stand in the body.
_WISHES = (b"anthropic-beta", b"anthropic-version", b"openai-beta", b"x-llm-proxy-")
# What is true of an answer whenever it is sent: not how much of a limit is left.
_KEPT = (b"content-type", b"x-llm-proxy-", b"x-upstream-request-id")
_BOUNDARY = re.compile(rb';\s*boundary="?([^";]+)"?', re.IGNORECASE)
# More parts than any form has that is let through.
_MAX_PARTS = 300


class Idempotent:
    """Runs an endpoint once for all requests of a caller that carry the same key.

    Whole answers are kept, and kept before their last byte is sent; all that is not
    whole lets the next request with the key run.

    Args:
        app: The endpoint.
        route: The canonical address of the endpoint, whichever it was reached at.
    """

    def __init__(self, app: ASGIApp, route: str) -> None:
        self._app = app
        self._route = route.encode()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one request."""
        keys = [value for name, value in scope["headers"] if name == _HEADER]
        if not keys:
            return self._app(scope, receive, send)
        return self._serve(keys, scope, receive, send)

    async def _serve(
        self, keys: list[bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = Request(scope, receive)
        admission: Admission = scope["app"].state.admission
        caller = (await admission.identify(request)).name.encode(errors="surrogatepass")
        key = digest(caller, self._route, _only(keys))
        settings: Settings = scope["app"].state.settings
        check_head(request, settings.max_v1_body_bytes)
        body = await read_bytes(request, settings.max_v1_body_bytes)
        fingerprint = _fingerprint(scope, self._route, body)
        store: Store = scope["app"].state.idempotency
        found = await store.claim(key, fingerprint)
        if isinstance(found, Claim):
            async with Lease(store, found) as lease:
                await self._run(lease, body, scope, receive, send)
            return
        # The endpoint, which would see to it, does not run.
        await admit(request, "api")
        await _replay(found.answer_to(fingerprint), scope)(scope, receive, send)

    async def _run(
        self, lease: Lease, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        unread: list[Message] = [{"type": "http.request", "body": body}]

        async def receive_again() -> Message:
            return unread.pop() if unread else await receive()

        state = scope["state"]
        recorder = _Recorder(lease, state)
        # Streams are sent past whoever stands in between.
        state["send"] = recorder.recorded(state["send"])
        await self._app(scope, receive_again, recorder.recorded(send))


class _Recorder:
    """Writes down what is sent, and settles the lease before the end of it is.

    Args:
        lease: Of the request.
        state: Has an ``error_code`` as soon as the answer will not be a whole one.
    """

    def __init__(self, lease: Lease, state: dict[str, object]) -> None:
        self._lease = lease
        self._state = state
        self._status = 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._parts: list[bytes] = []
        self._room = _MAX_ANSWER_BYTES

    def recorded(self, send: Send) -> Send:
        """Watch a way on which messages are sent."""

        async def send_last(message: Message) -> None:
            await self._lease.settle(self._answer())
            await send(message)

        def send_recorded(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._begin(message)
                return send(message)
            self._add(message.get("body", b""))
            more = message.get("more_body", False)
            return send(message) if more else send_last(message)

        return send_recorded

    def _begin(self, start: Message) -> None:
        self._status = start["status"]
        self._headers = tuple(
            (name, value)
            for name, value in start.get("headers", ())
            if name.startswith(_KEPT)
        )

    def _add(self, part: bytes) -> None:
        self._room -= len(part)
        if self._room < 0:
            self._parts.clear()
        else:
            self._parts.append(part)

    def _answer(self) -> SavedAnswer | None:
        if not 200 <= self._status < 300 or "error_code" in self._state:
            return None
        if self._room < 0:
            _log.warning("idempotent_answer_too_large", max_bytes=_MAX_ANSWER_BYTES)
            return None
        return SavedAnswer(self._status, self._headers, b"".join(self._parts))


def _only(keys: list[bytes]) -> bytes:
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        problem = "must be one text of 1 to 255 printable ASCII characters"
        raise InvalidInputError(
            "The header Idempotency-Key is not valid",
            details=[{"field": "Idempotency-Key", "problem": problem}],
        )
    return keys[0]


def _fingerprint(scope: Scope, route: bytes, body: bytes) -> str:
    """Hash what makes two requests the same."""
    headers = scope["headers"]
    wishes = sorted(pair for pair in headers if pair[0].startswith(_WISHES))
    content_type = dict(headers).get(b"content-type", b"")
    parts = [body]
    if boundary := _BOUNDARY.search(content_type):
        # Clients make up another one each time they send a form.
        content_type = content_type[: boundary.start()]
        parts = body.split(b"--" + boundary[1], _MAX_PARTS)
    return digest(
        scope["method"].encode(),
        route,
        content_type,
        digest(*(each for wish in wishes for each in wish)).encode(),
        digest(*parts).encode(),
    )


def _replay(answer: SavedAnswer, scope: Scope) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers += (*answer.headers, (b"idempotent-replayed", b"true"))
    surface = surface_of(scope)
    if surface is not None:
        response.raw_headers += own_headers(surface, scope["state"]["request_id"])
    return response

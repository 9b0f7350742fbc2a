"""Answers as server-sent events."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_proxy.answers import StreamedAnswer
from llm_proxy.api.connection import ClientDisconnectedError, Connected
from llm_proxy.delivery import F
from llm_proxy.errors import APIError, InternalError, LLMTimeoutError, OverloadedError
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)
# For a caller who has not read what came before.
_LAST_WORD_SECONDS = 5.0
# Proxies on the way give up on connections that are silent for longer.
_KEEPALIVE_SECONDS = 15.0

F_contra = TypeVar("F_contra", contravariant=True)


class EventWriter(Protocol[F_contra]):
    """Writes one stream in a surface's words."""

    @property
    def keepalive(self) -> bytes:
        """What to send while there is nothing to say."""
        ...

    def write(self, batch: Sequence[F_contra]) -> bytes:
        """Write what has come; empty if callers hear nothing of it."""
        ...

    def finish(self) -> bytes:
        """Write what ends a whole answer."""
        ...

    def fail(self, error: APIError, request_id: str) -> bytes:
        """Write what ends an answer that is not whole."""
        ...


class EventStream(Response):
    """Sends a live answer to its end, or to the error that ends it.

    What one read from the upstream brought is sent at once.

    Args:
        answer: The answer under way; it is closed whatever happens.
        writer: Makes bytes of it.
        headers: Of the response, besides those of every stream.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        answer: StreamedAnswer[F],
        writer: EventWriter[F],
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        # Its length is not known yet.
        del self.headers["content-length"]
        self.raw_headers += headers
        self._answer = answer
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        error: APIError | None = None
        # Once the head is out, nobody between here and the server looks at what is
        # sent; going past them saves a microsecond per event.
        send_body: Send = scope["state"]["send"]
        keepalive = _Keepalive(send_body, self._writer.keepalive)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            try:
                # It bounds the upstream, and the caller who does not read as well.
                async with (
                    Connected(receive, scope["app"].state.drain),
                    asyncio.timeout_at(self._answer.deadline),
                ):
                    last = await self._send_events(scope, send_body, keepalive)
            except TimeoutError:
                error = LLMTimeoutError(log_detail="the stream's deadline")
                last = self._fail(error, scope)
            except OverloadedError as cut:
                error = cut
                last = self._fail(error, scope)
            keepalive.stop()
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await send_body({"type": "http.response.body", "body": last})
        except TimeoutError:
            raise ClientDisconnectedError from None
        finally:
            keepalive.stop()
            await self._answer.aclose(error)

    async def _send_events(
        self, scope: Scope, send: Send, keepalive: "_Keepalive"
    ) -> bytes:
        """Send what comes and return what ends the stream."""
        write = self._writer.write
        try:
            async for batch in self._answer:
                body = write(batch)
                if body:
                    keepalive.heard()
                    await send(
                        {"type": "http.response.body", "body": body, "more_body": True}
                    )
        except APIError as error:
            return self._fail(error, scope)
        except Exception as error:  # noqa: BLE001 - the caller must hear of it
            _log.error("unhandled_exception", exc_info=error)
            return self._fail(InternalError(), scope)
        return self._writer.finish()

    def _fail(self, error: APIError, scope: Scope) -> bytes:
        scope["state"]["error_code"] = error.code
        return self._writer.fail(error, scope["state"]["request_id"])


class _Keepalive:
    """Sends something whenever nothing else was sent for a while."""

    def __init__(self, send: Send, words: bytes) -> None:
        self._send = send
        self._words = words
        self._loop = asyncio.get_running_loop()
        self._sending: asyncio.Task[None] | None = None
        self.heard()
        self._timer = self._loop.call_later(_KEEPALIVE_SECONDS, self._look)

    def heard(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _look(self) -> None:
        silent = self._loop.time() - self._last
        if silent >= _KEEPALIVE_SECONDS:
            silent = 0.0
            self.heard()
            # One at a time: a caller who does not read gets no second one.
            if self._sending is None or self._sending.done():
                self._sending = self._loop.create_task(self._speak())
        self._timer = self._loop.call_later(_KEEPALIVE_SECONDS - silent, self._look)

    async def _speak(self) -> None:
        body = {"type": "http.response.body", "body": self._words, "more_body": True}
        await self._send(body)

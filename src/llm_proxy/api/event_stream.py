"""Answers as server-sent events."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_proxy.api.connection import ClientDisconnectedError, Connected
from llm_proxy.api.errors import error_body
from llm_proxy.errors import APIError, InternalError, LLMTimeoutError
from llm_proxy.exchange import LiveAnswer
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)
# For a caller who has not read what came before.
_LAST_WORD_SECONDS = 5.0


class EventStream(Response):
    """Sends a live answer: ``delta`` events, then one ``done`` or one ``error``.

    What one read from the upstream brought makes one ``delta``.

    Args:
        answer: The answer under way; it is closed whatever happens.
        summary: Makes the data of the ``done`` event from the whole text.
    """

    media_type = "text/event-stream"

    def __init__(
        self, answer: LiveAnswer, summary: Callable[[str], dict[str, Any]]
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        # Its length is not known yet.
        del self.headers["content-length"]
        self._answer = answer
        self._summary = summary

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        error: APIError | None = None
        try:
            async with Connected(receive):
                await send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                try:
                    # It bounds the upstream, and the caller who does not read as well.
                    async with asyncio.timeout_at(self._answer.deadline):
                        last = await self._send_deltas(scope, send)
                except TimeoutError:
                    error = LLMTimeoutError(log_detail="the stream's deadline")
                    last = self._error(error, scope)
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await send({"type": "http.response.body", "body": last})
        except TimeoutError:
            raise ClientDisconnectedError from None
        finally:
            await self._answer.aclose(error)

    async def _send_deltas(self, scope: Scope, send: Send) -> bytes:
        """Send what comes and return the event that ends the stream."""
        texts: list[str] = []
        try:
            async for batch in self._answer:
                text = "".join([chunk.text for chunk in batch])
                if not text:
                    continue
                texts.append(text)
                body = b'event: delta\ndata: {"response":%b}\n\n' % orjson.dumps(text)
                await send(
                    {"type": "http.response.body", "body": body, "more_body": True}
                )
        except APIError as error:
            return self._error(error, scope)
        except Exception as error:  # noqa: BLE001 - the caller must hear of it
            _log.error("unhandled_exception", exc_info=error)
            return self._error(InternalError(), scope)
        return _event(b"done", self._summary("".join(texts)))

    def _error(self, error: APIError, scope: Scope) -> bytes:
        scope["state"]["error_code"] = error.code
        return _event(b"error", error_body(error, scope["state"]["request_id"]))


def _event(name: bytes, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(data))

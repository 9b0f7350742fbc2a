"""Answers that are neither JSON nor events, such as audio, sent as they come."""

import asyncio
from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_proxy.api.connection import Connected
from llm_proxy.errors import APIError, LLMTimeoutError
from llm_proxy.live_answer import LiveAnswer
from llm_proxy.wire import Passage


class ByteStream(Response):
    """Sends a live answer to its end.

    There is no way to say in the middle of such an answer that it has failed: the
    response is left incomplete, and the server closes the connection.

    Args:
        answer: The answer under way; it is closed whatever happens.
        headers: Of the response, its content type among them.
    """

    def __init__(
        self, answer: LiveAnswer[Passage], headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        # Its length is not known yet.
        del self.headers["content-length"]
        self.raw_headers += headers
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        error: APIError | None = None
        try:
            async with Connected(receive, scope["app"].state.drain):
                # It bounds the upstream, and the caller who does not read as well.
                async with asyncio.timeout_at(self._answer.deadline):
                    await self._send(send)
        except APIError as failure:
            error = failure
        except TimeoutError:
            error = LLMTimeoutError(log_detail="the stream's deadline")
        finally:
            await self._answer.aclose(error)
        if error is not None:
            scope["state"]["error_code"] = error.code

    async def _send(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async for batch in self._answer:
            body = b"".join([passage.data for passage in batch])
            if body:
                await send(
                    {"type": "http.response.body", "body": body, "more_body": True}
                )
        await send({"type": "http.response.body", "body": b""})

"""The sandbox in a process of its own, with an invoice of what it has made.

``GET /bill`` gives, by model, how many requests have come, how many at the same time,
and what they were told about tokens, in whatever dialect.
"""

import json
import re
from collections import Counter, defaultdict

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.providers.sandbox import create_sandbox
from llm_proxy.providers.sandbox.protocol import SandboxProtocol

# Counts grow in the course of a stream; the last word is the largest.
_READ = re.compile(rb'"(?:prompt|input)_tokens":\s*(\d+)')
_WRITTEN = re.compile(rb'"(?:completion|output)_tokens":\s*(\d+)')


class Line:
    """What one call adds to the lines of its model."""

    def __init__(self, lines: Counter[str]) -> None:
        self._lines = lines
        self._told = bytearray()
        self._is_open = True
        lines["requests"] += 1
        lines["open"] += 1
        lines["most_open"] = max(lines["most_open"], lines["open"])

    def tell(self, message: Message) -> None:
        """Note what is about to be sent."""
        self._told += message.get("body", b"")
        if not message.get("more_body", True):
            # Whoever has the last of it may ask again before this call has returned.
            self.close()

    def close(self) -> None:
        """Add it up, once."""
        if self._is_open:
            self._is_open = False
            self._lines["open"] -= 1
            self._lines["input_tokens"] += _largest(_READ, self._told)
            self._lines["output_tokens"] += _largest(_WRITTEN, self._told)


def _largest(count: re.Pattern[bytes], told: bytearray) -> int:
    return max(map(int, count.findall(told)), default=0)


class Meter:
    """Notes what goes through an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._bill: dict[str, Counter[str]] = defaultdict(Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/bill":
            await JSONResponse(self._bill)(scope, receive, send)
            return
        body = await _read(receive)
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        line = Line(self._bill[json.loads(body)["model"]])

        async def reading() -> Message:
            return unread.pop() if unread else await receive()

        async def writing(message: Message) -> None:
            line.tell(message)
            await send(message)

        try:
            await self._app(scope, reading, writing)
        finally:
            line.close()


async def _read(receive: Receive) -> bytes:
    body, is_more = bytearray(), True
    while is_more:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return bytes(body)


if __name__ == "__main__":
    uvicorn.run(
        Meter(create_sandbox()),
        port=0,
        http=SandboxProtocol,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )

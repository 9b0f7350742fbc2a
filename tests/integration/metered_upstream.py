"""The sandbox in a process of its own, with an invoice of what it has made.

``GET /bill`` gives, by model, how many requests have come, how many at the same time, and
what they were told about tokens, in whatever dialect. Nothing of it is the service's own
arithmetic.
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
        lines = self._bill[json.loads(body)["model"]]
        told = bytearray()
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def reading() -> Message:
            return unread.pop() if unread else await receive()

        async def writing(message: Message) -> None:
            told.extend(message.get("body", b""))
            await send(message)

        lines["requests"] += 1
        lines["open"] += 1
        lines["most_open"] = max(lines["most_open"], lines["open"])
        try:
            await self._app(scope, reading, writing)
        finally:
            lines["open"] -= 1
            lines["input_tokens"] += max(map(int, _READ.findall(told)), default=0)
            lines["output_tokens"] += max(map(int, _WRITTEN.findall(told)), default=0)


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

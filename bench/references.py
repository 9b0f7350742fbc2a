"""What the service is compared with: the proxy one writes first, and no proxy at all.

`python -m bench.references naive|constant PORT UPSTREAM_PORT`
"""

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.upstream import plain_body, stream_events

_PLAIN = plain_body()
_STREAM = stream_events()


class ChatBody(BaseModel):
    """The part of `/chat` that the benchmark uses."""

    provider: str
    model: str
    prompt: str
    stream: bool = False


def naive(upstream_port: int) -> FastAPI:
    """A proxy of FastAPI and `httpx.AsyncClient`, with none of the service's duties."""
    app = FastAPI()
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{upstream_port}/v1", timeout=60
    )

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/chat")
    async def chat(body: ChatBody) -> Response:
        messages = [{"role": "user", "content": body.prompt}]
        payload = {"model": body.model, "messages": messages, "stream": body.stream}
        if body.stream:
            return StreamingResponse(relay(payload), media_type="text/event-stream")
        answer = (await client.post("/chat/completions", json=payload)).json()
        text = answer["choices"][0]["message"]["content"]
        return JSONResponse(
            {"provider": body.provider, "model": body.model, "response": text}
        )

    async def relay(payload: dict[str, Any]) -> AsyncIterator[bytes]:
        async with client.stream("POST", "/chat/completions", json=payload) as answer:
            async for chunk in answer.aiter_raw():
                yield chunk

    return app


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the request and answers from memory: the floor below any service."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    streams = b'"stream":true' in body
    kind = b"text/event-stream" if streams else b"application/json"
    headers = [(b"content-type", kind)]
    if not streams:
        headers.append((b"content-length", b"%d" % len(_PLAIN)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if streams:
        for event in _STREAM:
            await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if streams else _PLAIN})


def _main(name: str, port: str, upstream_port: str) -> None:
    app: ASGIApp = naive(int(upstream_port)) if name == "naive" else constant
    uvicorn.run(
        app,
        port=int(port),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])

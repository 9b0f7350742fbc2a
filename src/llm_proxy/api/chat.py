"""`/chat`: one prompt to one model."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import Request, Response

from llm_proxy.answers import Answer, StreamedAnswer
from llm_proxy.api.admission import admit
from llm_proxy.api.body import read_model
from llm_proxy.api.calls import new_call
from llm_proxy.api.connection import Connected
from llm_proxy.api.errors import error_body
from llm_proxy.api.event_stream import EventStream
from llm_proxy.api.meta import answer_meta
from llm_proxy.api.response import json_response
from llm_proxy.api.schemas import ChatBody
from llm_proxy.errors import APIError
from llm_proxy.gateway import Gateway
from llm_proxy.routing import Catalog
from llm_proxy.types import ChatRequest, Chunk, said


async def chat(request: Request) -> Response:
    """Send a prompt to a model and return what it says."""
    caller = await admit(request, "api", "chat")
    body = await read_model(request, ChatBody)
    gateway: Gateway = request.app.state.gateway
    catalog: Catalog = request.app.state.catalog
    route = catalog.route(body.provider, body.model, lambda: body.prompt)
    # Only sessions are told apart by more than the model.
    has_sessions = route.affinity is not None
    fields = body.model_dump() if has_sessions else {"model": body.model}
    call = new_call(request, caller, "chat", route, fields)
    if body.stream:
        async with Connected(request.receive, request.app.state.drain):
            live = await gateway.stream(call, _request(body))
        return EventStream(live, _Events(request, live))
    async with Connected(request.receive, request.app.state.drain):
        answer = await gateway.chat(call, _request(body))
    content = _content(request, answer, answer.text)
    return json_response(content)


class _Events:
    """``delta`` events, then one ``done`` or one ``error``."""

    keepalive = b": keep-alive\n\n"

    def __init__(self, request: Request, answer: StreamedAnswer[Chunk]) -> None:
        self._request = request
        self._answer = answer
        self._texts: list[str] = []

    def write(self, batch: Sequence[Chunk]) -> bytes:
        text = "".join([chunk.text for chunk in batch])
        if not text:
            return b""
        self._texts.append(text)
        return b'event: delta\ndata: {"response":%b}\n\n' % orjson.dumps(text)

    def finish(self) -> bytes:
        content = _content(self._request, self._answer, "".join(self._texts))
        return _event(b"done", content)

    def fail(self, error: APIError, request_id: str) -> bytes:
        return _event(b"error", error_body(error, request_id))


def _event(name: bytes, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(data))


def _request(body: ChatBody) -> ChatRequest:
    messages = [said(turn.role, turn.content) for turn in body.messages or ()]
    if body.system is not None:
        messages.insert(0, said("system", body.system))
    return ChatRequest(
        messages=(*messages, said("user", body.prompt)),
        max_tokens=body.max_tokens,
        temperature=body.temperature,
    )


def _content(
    request: Request, answer: Answer | StreamedAnswer[Chunk], text: str
) -> dict[str, Any]:
    target = answer.exchange.target
    return {
        "provider": target.provider,
        "model": target.model,
        "response": text,
        "meta": answer_meta(request, answer.exchange, answer.verdict),
    }

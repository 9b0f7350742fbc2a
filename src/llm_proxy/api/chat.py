"""`/chat`: one prompt to one model."""

import orjson
from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.body import read_model
from llm_proxy.api.connection import Connected
from llm_proxy.api.event_stream import EventStream
from llm_proxy.api.meta import answer_meta
from llm_proxy.api.schemas import ChatBody
from llm_proxy.exchange import Call, LiveAnswer
from llm_proxy.gateway import Answer, Gateway
from llm_proxy.types import ChatRequest, Message


async def chat(request: Request) -> Response:
    """Send a prompt to a model and return what it says."""
    caller = admit(request, "api", "chat")
    body = await read_model(request, ChatBody)
    gateway: Gateway = request.app.state.gateway
    call = Call(
        principal=caller,
        feature="chat",
        route=gateway.route(body.provider, body.model),
        request=_request(body),
    )
    if body.stream:
        async with Connected(request.receive):
            live = await gateway.stream(call)
        return EventStream(live, lambda text: _content(request, live, text))
    async with Connected(request.receive):
        answer = await gateway.chat(call)
    content = _content(request, answer, answer.text)
    return Response(orjson.dumps(content), media_type="application/json")


def _request(body: ChatBody) -> ChatRequest:
    earlier = [Message(turn.role, turn.content) for turn in body.messages or ()]
    return ChatRequest(
        messages=(*earlier, Message("user", body.prompt)),
        system=body.system,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
    )


def _content(
    request: Request, answer: Answer | LiveAnswer, text: str
) -> dict[str, object]:
    target = answer.exchange.target
    return {
        "provider": target.provider,
        "model": target.model,
        "response": text,
        "meta": answer_meta(request, answer.exchange, answer.verdict),
    }

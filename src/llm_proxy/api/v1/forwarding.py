"""Answers of endpoints besides chat, in whatever form they come."""

from fastapi import Request, Response

from llm_proxy.api.connection import Connected
from llm_proxy.api.event_stream import EventStream
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.byte_stream import ByteStream
from llm_proxy.api.v1.conversation import PassageWriter
from llm_proxy.api.v1.surfaces import OPENAI
from llm_proxy.call import Call
from llm_proxy.demand import NO_TOKENS, Demand
from llm_proxy.gateway import Gateway
from llm_proxy.live_answer import LiveAnswer
from llm_proxy.providers import Errand
from llm_proxy.wire import Passage


async def run_errand(
    request: Request, call: Call, errand: Errand, demand: Demand = NO_TOKENS
) -> Response:
    """Let an upstream answer a request.

    Args:
        request: Its connection is watched.
        call: Who asks whom.
        errand: What is asked.
        demand: How much may be used for it.

    Returns:
        JSON at once; events and bytes as they come.

    Raises:
        APIError: Nobody answered.
    """
    gateway: Gateway = request.app.state.gateway
    async with Connected(request.receive, request.app.state.drain):
        live = await gateway.forward(call, errand, demand)
        (_, content_type), *headers = live.first[0].headers
        media_type = content_type.partition(b";")[0].rstrip()
        if media_type == b"text/event-stream":
            return EventStream(live, PassageWriter(OPENAI), headers)
        if errand.raw and not media_type.endswith(b"json"):
            return ByteStream(live, live.first[0].headers)
        body = await _collect(live)
    return json_response(body, headers)


async def _collect(live: LiveAnswer[Passage]) -> bytes:
    try:
        return b"".join([each.data async for batch in live for each in batch])
    finally:
        await live.aclose()

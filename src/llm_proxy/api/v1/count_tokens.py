"""How many tokens a conversation has, before it is sent."""

import asyncio
from collections.abc import Iterator

import orjson
from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.connection import Connected
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.forwarding import run_errand
from llm_proxy.api.v1.inquiries import read_inquiry
from llm_proxy.api.v1.surfaces import ANTHROPIC, RESPONSES, own_headers
from llm_proxy.demand import TOKENS_OF_MEDIA
from llm_proxy.providers import Errand, ProviderFactory
from llm_proxy.routing import Catalog, Target
from llm_proxy.tokens import count_tokens
from llm_proxy.types import ChatRequest, Media, Part, Text, Thinking, ToolCall
from llm_proxy.wire import Inquiry, splice

# What surrounds a turn: its role and its ends.
_TOKENS_OF_TURN = 4


async def count_message_tokens(request: Request) -> Response:
    """Count the tokens of a conversation in Anthropic's dialect.

    An Anthropic upstream is asked; for others it is an estimate.
    """
    caller = await admit(request, "api")
    inquiry = await read_inquiry(request, ANTHROPIC, {"max_tokens": 1})
    catalog: Catalog = request.app.state.catalog
    route = catalog.resolve(inquiry.asked.model)
    target = route.first
    if _speaks(request, target, ANTHROPIC.name):
        errand = Errand(
            path="/messages/count_tokens",
            dialect=ANTHROPIC.name,
            body_for=lambda model: splice(inquiry.body, {"model": orjson.dumps(model)}),
            headers=inquiry.headers,
        )
        route = route.only(target.__eq__)
        fields = inquiry.asked.fields
        call = new_call(request, caller, "v1.count_tokens", route, fields)
        response = await run_errand(request, call, errand)
    else:
        response = json_response(
            {"input_tokens": await _estimate(request, inquiry, target)}
        )
    response.raw_headers += own_headers(ANTHROPIC, request.state.request_id)
    return response


async def count_response_tokens(request: Request) -> Response:
    """Count the tokens of a conversation in the dialect of OpenAI's responses."""
    await admit(request, "api")
    inquiry = await read_inquiry(request, RESPONSES)
    catalog: Catalog = request.app.state.catalog
    target = catalog.resolve(inquiry.asked.model).first
    counted = await _estimate(request, inquiry, target)
    return json_response({"object": "response.input_tokens", "input_tokens": counted})


def _speaks(request: Request, target: Target, dialect: str) -> bool:
    factory: ProviderFactory = request.app.state.providers
    return factory.get_provider(target.provider, target.model).relays(dialect)


async def _estimate(request: Request, inquiry: Inquiry, target: Target) -> int:
    asked = inquiry.request
    texts = list(_texts(asked))
    async with Connected(request.receive, request.app.state.drain):
        counted = await asyncio.to_thread(count_tokens, texts, target.model)
    parts = [part for message in asked.messages for part in message.content]
    media = sum(isinstance(part, Media) for part in parts)
    return counted + media * TOKENS_OF_MEDIA + len(asked.messages) * _TOKENS_OF_TURN


def _texts(request: ChatRequest) -> Iterator[str]:
    for message in request.messages:
        for part in message.content:
            yield from _texts_of(part)
    for tool in request.tools:
        yield f"{tool.name} {tool.description}"
        yield orjson.dumps(tool.parameters).decode()


def _texts_of(part: Part) -> Iterator[str]:
    match part:
        case Text() | Thinking():
            yield part.text
        case ToolCall():
            yield f"{part.name} {part.arguments}"
        case Media():
            return
        case _:
            for inner in part.content:
                yield from _texts_of(inner)

"""Responses: conversations that the service can keep."""

from collections.abc import Sequence

import orjson
from fastapi import Request, Response

from llm_proxy.answers import StreamedAnswer
from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.connection import Connected
from llm_proxy.api.event_stream import EventStream
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.background import Background
from llm_proxy.api.v1.conversation import PassageWriter, upstream_headers
from llm_proxy.api.v1.inquiries import read_inquiry
from llm_proxy.api.v1.keeping import Keeper
from llm_proxy.api.v1.surfaces import RESPONSES
from llm_proxy.errors import APIError, InvalidInputError, UnsupportedFeatureError
from llm_proxy.gateway import Gateway
from llm_proxy.routing import Catalog
from llm_proxy.wire import Inquiry, Passage
from llm_proxy.wire.openai_responses import failed_event, final_response

_FEATURE = "v1.openai_responses"


async def create_response(request: Request) -> Response:
    """Answer in the dialect of OpenAI's responses, and keep the answer if asked to."""
    caller = await admit(request, "api", "chat")
    inquiry = await read_inquiry(request, RESPONSES)
    catalog: Catalog = request.app.state.catalog
    route = catalog.resolve(inquiry.asked.model, inquiry.latest_text)
    keeper = Keeper(request, caller.name, inquiry)
    route, inquiry = keeper.place(route)
    call = new_call(request, caller, _FEATURE, route, inquiry.asked.fields)
    gateway: Gateway = request.app.state.gateway
    in_background = inquiry.asked.fields.get("background") is True
    if in_background and not keeper.is_native(route.first):
        if not keeper.wanted:
            # Nobody could ever read or stop it.
            raise InvalidInputError(
                "Background responses must be stored",
                details=[{"field": "store", "problem": "must not be false"}],
            )
        if inquiry.stream:
            raise UnsupportedFeatureError(
                "Background responses of this model cannot be streamed"
            )
        background: Background = request.app.state.background
        return json_response(background.start(call, inquiry, keeper.keep))
    async with Connected(request.receive, request.app.state.drain):
        if inquiry.stream:
            live = await gateway.relay_stream(call, inquiry)
            writer = _ResponseWriter(live, inquiry, keeper)
            return EventStream(live, writer, upstream_headers(live))
        reply = await gateway.relay(call, inquiry)
    if keeper.wanted:
        keeper.keep(orjson.loads(reply.answer.data), reply.target)
    return json_response(reply.answer.data, reply.answer.headers)


class _ResponseWriter(PassageWriter):
    """Passes events on, and keeps the response that the last one carries."""

    def __init__(
        self, live: StreamedAnswer[Passage], inquiry: Inquiry, keeper: Keeper
    ) -> None:
        super().__init__(inquiry.surface)
        self._live = live
        self._asked = inquiry.asked
        self._keeper = keeper
        self._first = self._latest = b""

    def write(self, batch: Sequence[Passage]) -> bytes:
        data = super().write(batch)
        if data:
            self._first = self._first or data
            self._latest = data
            if self._keeper.wanted and (response := final_response(data)):
                self._keeper.keep(response, self._live.exchange.target)
        return data

    def fail(self, error: APIError, request_id: str) -> bytes:
        return failed_event(error, request_id, self._asked, self._first, self._latest)

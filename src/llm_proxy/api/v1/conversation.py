"""Chat completions and messages: a conversation goes in, the next turn comes out."""

from collections.abc import Sequence

from fastapi import Request, Response

from llm_proxy.answers import StreamedAnswer
from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.connection import Connected
from llm_proxy.api.event_stream import EventStream
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.inquiries import read_inquiry
from llm_proxy.api.v1.surfaces import ANTHROPIC, COMPLETIONS, OPENAI, own_headers
from llm_proxy.errors import APIError
from llm_proxy.gateway import Gateway
from llm_proxy.routing import Catalog
from llm_proxy.wire import Passage, Surface


async def chat_completions(request: Request) -> Response:
    """Continue a conversation in the dialect of OpenAI's chat completions."""
    return await _converse(request, OPENAI)


async def completions(request: Request) -> Response:
    """Continue a text in the dialect of OpenAI's older completions."""
    return await _converse(request, COMPLETIONS)


async def messages(request: Request) -> Response:
    """Continue a conversation in the dialect of Anthropic's messages."""
    return await _converse(request, ANTHROPIC)


async def _converse(request: Request, surface: Surface) -> Response:
    caller = await admit(request, "api", "chat")
    inquiry = await read_inquiry(request, surface)
    catalog: Catalog = request.app.state.catalog
    route = catalog.resolve(inquiry.asked.model, inquiry.latest_text)
    call = new_call(request, caller, f"v1.{surface.name}", route, inquiry.asked.fields)
    gateway: Gateway = request.app.state.gateway
    headers = own_headers(surface, request.state.request_id)
    async with Connected(request.receive, request.app.state.drain):
        if inquiry.stream:
            live = await gateway.relay_stream(call, inquiry)
            headers += upstream_headers(live)
            return EventStream(live, PassageWriter(surface), headers)
        passage = (await gateway.relay(call, inquiry)).answer
    return json_response(passage.data, (*headers, *passage.headers))


def upstream_headers(live: StreamedAnswer[Passage]) -> tuple[tuple[bytes, bytes], ...]:
    """Say which headers of the upstream's response go before a stream.

    Args:
        live: The stream.

    Returns:
        The headers; none of an answer that is held back, since it may come from
        another upstream in the end.
    """
    return live.first[0].headers if live.first else ()


class PassageWriter:
    """Passes on what is written already.

    Args:
        surface: The caller's dialect.
    """

    def __init__(self, surface: Surface) -> None:
        self.keepalive = surface.keepalive
        self._surface = surface

    def write(self, batch: Sequence[Passage]) -> bytes:
        """Join the bytes of a batch."""
        if len(batch) == 1:
            return batch[0].data
        return b"".join([passage.data for passage in batch])

    def finish(self) -> bytes:
        """Say nothing more: the last passage has said it."""
        return b""

    def fail(self, error: APIError, request_id: str) -> bytes:
        """Write the error event of the dialect."""
        return self._surface.error_event(error, request_id)

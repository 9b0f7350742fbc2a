"""Bytes that pass through, because caller and upstream speak one dialect."""

import json
from collections.abc import Mapping

import pytest
from tests.contract.exchanges import Exchange, contracts

from llm_proxy.wire import (
    AnthropicSurface,
    Asked,
    Inquiry,
    OpenAIChatSurface,
    OpenAIResponsesSurface,
    Surface,
)

SURFACES: Mapping[str, Surface] = {
    surface.name: surface
    for surface in (OpenAIChatSurface(), AnthropicSurface(), OpenAIResponsesSurface())
}
PIECES = (None, 1, 17)
ALIAS = "the caller's name of the model"


def cases(*, stream: bool) -> list:
    return [
        pytest.param(exchange, id=f"{contract.name}-{exchange.name}")
        for contract in contracts()
        for exchange in contract.exchanges
        if exchange.dialect and exchange.response(stream=stream) is not None
    ]


def ask(exchange: Exchange, *, stream: bool, shows_usage: bool = True) -> Inquiry:
    """Puts the recorded request into the mouth of a caller."""
    body = exchange.request(stream=stream, model=ALIAS).body
    fields = json.loads(body)
    if not shows_usage:
        del fields["stream_options"]
        body = json.dumps(fields).encode()
    asked = Asked("1", 1, ALIAS, fields)
    return Inquiry(SURFACES[exchange.dialect], body, asked, stream)


def observed(passages) -> dict:
    """Says what was learnt from the bytes."""
    known = {}
    for passage in passages:
        usage = passage.usage
        seen = {
            "model": passage.model,
            "finish_reason": passage.finish_reason,
            "usage": usage and [usage.input_tokens, usage.output_tokens],
        }
        known |= {name: value for name, value in seen.items() if value}
    return known


def expected(exchange: Exchange) -> dict:
    answer = exchange.expected["answer"]
    known = {name: answer[name] for name in ("model", "finish_reason")}
    return known | {"usage": [answer["usage"]["input"], answer["usage"]["output"]]}


@pytest.mark.parametrize("exchange", cases(stream=False))
async def test_a_complete_answer_passes_through(meet, exchange):
    answer = exchange.response(stream=False)
    provider, upstream = meet(exchange.contract, answer)
    passage = await provider.relay(ask(exchange, stream=False))

    recorded = exchange.request(stream=False)
    assert str(upstream.asked[0].url) == recorded.url
    assert upstream.asked[0].content == recorded.body
    assert passage.data == answer.body
    assert observed([passage]) == expected(exchange)


async def passages_of(provider, inquiry: Inquiry) -> list:
    batches = [batch async for batch in provider.relay_stream(inquiry)]
    return [passage for batch in batches for passage in batch]


@pytest.mark.parametrize("exchange", cases(stream=True))
async def test_a_streamed_answer_passes_through_however_it_is_cut(meet, exchange):
    answer, recorded = exchange.response(stream=True), exchange.request(stream=True)
    for piece in PIECES:
        provider, upstream = meet(exchange.contract, answer, piece)
        passages = await passages_of(provider, ask(exchange, stream=True))

        assert str(upstream.asked[0].url) == recorded.url
        assert upstream.asked[0].content == recorded.body
        assert told(passages) == plain_lines(answer.body)
        assert observed(passages) == expected(exchange)


def told(passages: list) -> bytes:
    return b"".join(passage.data for passage in passages)


def plain_lines(stream: bytes) -> bytes:
    """Ends lines as we do: how they end is nothing that a caller could see."""
    return stream.replace(b"\r\n", b"\n")


def without_usage(stream: bytes) -> bytes:
    """Leaves out what a caller does not see who has not asked for the usage."""
    events = plain_lines(stream).removesuffix(b"\n\n").split(b"\n\n")
    kept = [event for event in events if not is_usage(event)]
    return b"".join(event + b"\n\n" for event in kept).replace(b',"usage":null', b"")


def is_usage(event: bytes) -> bool:
    data = event.partition(b"data: ")[2]
    fields = json.loads(data) if data.startswith(b"{") else {}
    return fields.get("choices") == [] and bool(fields.get("usage"))


@pytest.mark.parametrize(
    "exchange",
    [case for case in cases(stream=True) if case.values[0].dialect == "openai_chat"],
)
async def test_the_usage_is_always_asked_for_and_only_told_to_who_asks(meet, exchange):
    answer, recorded = exchange.response(stream=True), exchange.request(stream=True)
    for piece in PIECES:
        provider, upstream = meet(exchange.contract, answer, piece)
        inquiry = ask(exchange, stream=True, shows_usage=False)
        passages = await passages_of(provider, inquiry)

        assert json.loads(upstream.asked[0].content) == json.loads(recorded.body)
        assert told(passages) == without_usage(answer.body)
        assert observed(passages) == expected(exchange)

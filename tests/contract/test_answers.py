"""What providers ask upstreams, and what they make of the answers."""

import json

import pytest
from tests.contract.exchanges import Exchange, contracts
from tests.contract.listener import Listener, describe
from tests.contract.questions import QUESTIONS

# Bytes that each read of a stream brings: all, one, and a number that cuts anywhere.
PIECES = (None, 1, 17)
# What every request has besides, whoever is asked.
ALWAYS = {"accept-encoding", "user-agent"}


def cases(*, stream: bool) -> list:
    return [
        pytest.param(exchange, id=f"{contract.name}-{exchange.name}")
        for contract in contracts()
        for exchange in contract.exchanges
        if exchange.is_translated and exchange.response(stream=stream) is not None
    ]


def check_request(exchange: Exchange, upstream, *, stream: bool) -> None:
    recorded = exchange.request(stream=stream)
    [asked] = upstream.asked
    headers = dict(asked.headers.items())

    assert (asked.method, str(asked.url)) == ("POST", recorded.url)
    assert {name: headers.pop(name) for name in recorded.head.headers} == (
        recorded.head.headers
    )
    assert headers.keys() <= ALWAYS
    assert json.loads(asked.content) == json.loads(recorded.body)
    key = exchange.contract.key
    assert not key or key not in str(asked.url)


async def hear(
    meet, exchange: Exchange, *, stream: bool, piece: int | None = None
) -> dict:
    """Asks the exchange's question, and gives what was understood of the answer."""
    listener = Listener(QUESTIONS[exchange.expected["question"]])
    answer = exchange.response(stream=stream)
    provider, upstream = meet(exchange.contract, answer, piece)
    inquiry = listener.inquiry(stream=stream)
    if stream:
        async for _ in provider.relay_stream(inquiry):
            pass
    else:
        await provider.relay(inquiry)
    check_request(exchange, upstream, stream=stream)
    return describe(listener.heard)


@pytest.mark.parametrize("exchange", cases(stream=False))
async def test_a_complete_answer_is_understood(meet, exchange):
    assert await hear(meet, exchange, stream=False) == exchange.expected["answer"]


@pytest.mark.parametrize("exchange", cases(stream=True))
async def test_a_streamed_answer_is_the_same_however_it_is_cut(meet, exchange):
    for piece in PIECES:
        heard = await hear(meet, exchange, stream=True, piece=piece)
        assert heard == exchange.expected["answer"]


def text_of(exchange: Exchange) -> str:
    parts = exchange.expected["answer"]["parts"]
    return "".join(part["text"] for part in parts if "text" in part)


@pytest.mark.parametrize(
    "exchange", [case for case in cases(stream=False) if text_of(case.values[0])]
)
async def test_the_simple_call_gives_the_text(meet, exchange):
    question = QUESTIONS[exchange.expected["question"]]
    provider, upstream = meet(exchange.contract, exchange.response(stream=False))

    assert (await provider.complete(question)).text == text_of(exchange)
    check_request(exchange, upstream, stream=False)

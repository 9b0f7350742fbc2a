"""What providers ask upstreams, and what they make of the answers."""

import json

import pytest

from tests.contract.exchanges import Exchange, Recording, contracts
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
    headers = {name: value for name, value in asked.headers.items()}

    assert (asked.method, str(asked.url)) == ("POST", recorded.url)
    assert {name: headers.pop(name) for name in recorded.head.headers} == (
        recorded.head.headers
    )
    assert headers.keys() <= ALWAYS
    assert json.loads(asked.content) == json.loads(recorded.body)
    key = exchange.contract.key
    assert not key or key not in str(asked.url)


async def hear(meet, exchange: Exchange, answer: Recording, piece: int | None, stream):
    """Asks the exchange's question and gives what was understood."""
    listener = Listener(QUESTIONS[exchange.expected["question"]])
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
    answer = exchange.response(stream=False)

    assert await hear(meet, exchange, answer, None, False) == (
        exchange.expected["answer"]
    )


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("exchange", cases(stream=True))
async def test_a_streamed_answer_is_understood_however_it_is_cut(meet, exchange, piece):
    answer = exchange.response(stream=True)

    assert await hear(meet, exchange, answer, piece, True) == (
        exchange.expected["answer"]
    )


@pytest.mark.parametrize("exchange", cases(stream=False))
async def test_the_simple_road_gives_the_same_text(meet, exchange):
    expected = exchange.expected["answer"]
    texts = [part["text"] for part in expected["parts"] if "text" in part]
    if not texts:
        pytest.skip("without text there is no answer on this road")
    question = QUESTIONS[exchange.expected["question"]]
    provider, upstream = meet(exchange.contract, exchange.response(stream=False))

    assert (await provider.complete(question)).text == "".join(texts)
    check_request(exchange, upstream, stream=False)

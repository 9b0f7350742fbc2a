"""What providers make of errors, wherever upstreams report them."""

import json
from collections.abc import AsyncIterator

import pytest
from tests.contract.exchanges import Failure, contracts

from llm_proxy.errors import APIError, LLMAPIError
from llm_proxy.types import ChatRequest, said
from llm_proxy.wire import (
    AnthropicSurface,
    Asked,
    Inquiry,
    OpenAIChatSurface,
    Surface,
)

OPENAI, ANTHROPIC = OpenAIChatSurface(), AnthropicSurface()
QUESTION = ChatRequest(messages=(said("user", "Hi"),))
FIELDS = {
    "model": "a-model",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


EVERYBODY = pytest.mark.parametrize("contract", contracts(), ids=lambda it: it.name)


def inquiry(surface: Surface, *, stream: bool) -> Inquiry:
    fields = FIELDS | {"stream": stream}
    asked = Asked("1", 1, "a-model", fields)
    return Inquiry(surface, json.dumps(fields).encode(), asked, stream)


def describe(error: APIError, key: str) -> dict:
    """Writes an error as fixtures do: what programs and the router see of it."""
    status, openai = OPENAI.encode_error(error, "req")
    told = openai["error"]
    described = {
        "raises": type(error).__name__,
        "status": error.status,
        "openai": [status, told["type"], told["code"]],
    }
    status, anthropic = ANTHROPIC.encode_error(error, "req")
    described["anthropic"] = [status, anthropic["error"]["type"]]
    assert told["message"]
    assert anthropic["error"]["message"]
    if isinstance(error, LLMAPIError) and error.transient:
        described["transient"] = True
    if error.retry_after_seconds is not None:
        described["retry_after"] = error.retry_after_seconds
    # The server has tried again already, or nothing would change.
    assert error.should_retry is False
    assert not key or key not in f"{error} {vars(error)} {openai} {anthropic}"
    return described


async def fail(provider, failure: Failure, call) -> str:
    """Lets a call fail as expected, and gives the text that came before."""
    said: list[str] = []
    with pytest.raises(APIError) as caught:
        await listen(call(provider), said)
    expected = dict(failure.expected)
    expected.pop("said", None)
    assert describe(caught.value, failure.contract.key) == expected
    return "".join(said)


async def listen(texts: AsyncIterator[str], said: list[str]) -> None:
    async for text in texts:
        said.append(text)


async def complete(provider):
    yield (await provider.complete(QUESTION)).text


async def stream(provider):
    async for chunks in provider.stream(QUESTION):
        yield "".join(chunk.text for chunk in chunks)


def relay(surface: Surface):
    async def call(provider):
        yield (await provider.relay(inquiry(surface, stream=False))).data.decode()

    return call


def relay_stream(surface: Surface):
    async def call(provider):
        async for passages in provider.relay_stream(inquiry(surface, stream=True)):
            yield b"".join(passage.data for passage in passages).decode()

    return call


def surfaces(provider, failure: Failure) -> list[Surface]:
    """Gives the dialects of callers to whom the recorded dialect is told."""
    return [
        surface
        for surface in (OPENAI, ANTHROPIC)
        if surface.name == failure.contract.dialect or not provider.relays(surface.name)
    ]


@EVERYBODY
async def test_an_error_is_told_alike_to_everybody_who_does_not_stream(
    meet, contract, subtests
):
    for failure in contract.failures:
        if failure.response.is_stream:
            continue
        with subtests.test(failure.name):
            provider, upstream = meet(contract, failure.response)
            calls = [complete, *map(relay, surfaces(provider, failure))]
            for call in calls:
                assert await fail(provider, failure, call) == ""
            assert len(upstream.asked) == len(calls)


@EVERYBODY
async def test_an_error_is_told_alike_to_everybody_who_streams(
    meet, contract, subtests
):
    for failure in contract.failures:
        with subtests.test(failure.name):
            await check_streams(meet, failure)


async def check_streams(meet, failure: Failure) -> None:
    """Cuts the answer at every byte, and nowhere."""
    expected = failure.expected.get("said", "")

    provider, _ = meet(failure.contract, failure.response, piece=1)
    assert await fail(provider, failure, stream) == expected
    for surface in surfaces(provider, failure):
        assert expected in await fail(provider, failure, relay_stream(surface))

    provider, _ = meet(failure.contract, failure.response)
    # What one read brings before an error may be left out.
    assert expected.startswith(await fail(provider, failure, stream))
    for surface in surfaces(provider, failure):
        await fail(provider, failure, relay_stream(surface))

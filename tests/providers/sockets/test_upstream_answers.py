"""Answers of all vendors over real sockets, however odd, are read to the end."""

import pytest

from llm_proxy.providers import LLMProvider
from llm_proxy.types import ChatRequest, said

pytestmark = pytest.mark.integration

QUESTION = ChatRequest((said("user", "Hello there"),))
EVERYWHERE = pytest.mark.parametrize(
    "upstream",
    [
        "openai",
        "anthropic",
        "gemini/gemini-2.5-flash",
        "bedrock/anthropic.claude-sonnet-4-5",
    ],
)
QUOTE = 'The sandbox read: "Hello there"'


async def complete(provider: LLMProvider) -> str:
    return (await provider.complete(QUESTION)).text


async def stream(provider: LLMProvider) -> str:
    batches = [batch async for batch in provider.stream(QUESTION)]
    return "".join(chunk.text for batch in batches for chunk in batch)


@EVERYWHERE
@pytest.mark.parametrize("call", [complete, stream])
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("sandbox", QUOTE),
        ("chunks-5", "1 2 3 4 5"),
        ("split-bytes", QUOTE),
        ("slow-first-token-20", QUOTE),
        ("length", "The sandbox read:"),
        ("refusal", "I'm sorry, but I can't help with that."),
        ("content-filter", QUOTE),
        ("missing-usage", QUOTE),
        ("negative-usage", QUOTE),
        ("huge-usage", QUOTE),
        ("float-usage", QUOTE),
        ("text-usage", QUOTE),
        ("boolean-usage", QUOTE),
        ("duplicate-keys", QUOTE),
        ("nul", "one \0 two"),
        ("unasked-response", QUOTE),
    ],
)
async def test_every_answer_is_read(provider_at, upstream, call, model, text):
    assert (await call(await provider_at(upstream, model))).strip() == text


@EVERYWHERE
@pytest.mark.parametrize("model", ["no-done", "noisy-stream", "unasked-usage"])
async def test_habits_of_streams_are_borne(provider_at, upstream, model):
    assert await stream(await provider_at(upstream, model)) == QUOTE


@EVERYWHERE
@pytest.mark.parametrize("call", [complete, stream])
async def test_a_response_that_nobody_asked_for_answers_nobody(
    provider_at, upstream, call
):
    unasked = await provider_at(upstream, "unasked-response")
    for _ in range(5):
        assert (await call(unasked)).strip() == QUOTE

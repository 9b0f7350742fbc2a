"""Every way in which Google's and Amazon's APIs misbehave is one of our errors."""

import asyncio

import pytest

from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    RequestRejectedError,
    UnsupportedModelError,
)
from llm_proxy.providers import LLMProvider
from llm_proxy.providers.sandbox import MODELS
from llm_proxy.types import ChatRequest, said

pytestmark = pytest.mark.integration

QUESTION = ChatRequest((said("user", "Hello there"),))
GEMINI = "gemini/gemini-2.5-flash"
BEDROCK = "bedrock/anthropic.claude-sonnet-4-5"
BOTH = pytest.mark.parametrize("upstream", [GEMINI, BEDROCK])

# What a fault is when the answer comes whole, and when it is streamed.
Pair = tuple[type[APIError], type[APIError]]
FAULTS: dict[str, Pair] = {
    **dict.fromkeys(("fault-400", "fault-422"), (RequestRejectedError,) * 2),
    **dict.fromkeys(("fault-401", "fault-403"), (LLMCredentialsError,) * 2),
    **dict.fromkeys(
        ("fault-413", "fault-400-context-length"), (PromptTooLongError,) * 2
    ),
    **dict.fromkeys(
        [f"fault-{status}" for status in (408, 409, 500, 502, 503, 504, 529)],
        (LLMUnavailableError,) * 2,
    ),
    **dict.fromkeys(
        [
            "fault-429",
            "fault-429-retry-after",
            "fault-429-retry-after-date",
            "fault-429-retry-after-ms",
            "fault-429-retry-after-absurd",
        ],
        (LLMRateLimitedError,) * 2,
    ),
    "fault-no-response": (LLMConnectionLostError,) * 2,
    "fault-hang": (LLMTimeoutError,) * 2,
    "fault-stalled": (LLMTimeoutError,) * 2,
    "fault-cut": (LLMStreamBrokenError,) * 2,
    "fault-no-finish": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-malformed": (LLMBadResponseError, LLMStreamBrokenError),
    # Of these there is nothing without a stream, and the sandbox says so.
    "fault-first-event-error": (RequestRejectedError, LLMUnavailableError),
    "fault-mid-stream-error": (RequestRejectedError, LLMUnavailableError),
    "fault-null-content": (LLMBadResponseError,) * 2,
    "fault-empty-content": (LLMBadResponseError,) * 2,
    "fault-content-filter": (LLMContentFilteredError,) * 2,
    "fault-html": (LLMBadResponseError,) * 2,
    "fault-content-type": (LLMBadResponseError,) * 2,
    "fault-empty-body": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-invalid-utf8": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-huge": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-gzip-bomb": (LLMBadResponseError,) * 2,
    "fault-redirect": (LLMBadResponseError,) * 2,
}
# What each vendor says in a way of its own.
OWN: dict[str, dict[str, Pair]] = {
    GEMINI: {
        # A quota that is used up looks like any other limit.
        "fault-no-credit": (LLMRateLimitedError,) * 2,
        "fault-404": (UnsupportedModelError,) * 2,
        "fault-200-error": (LLMUnavailableError,) * 2,
    },
    BEDROCK: {
        "fault-no-credit": (LLMCredentialsError,) * 2,
        "fault-404": (LLMBadResponseError,) * 2,
        # Nothing in the body of an error tells that it is one.
        "fault-200-error": (LLMBadResponseError, LLMStreamBrokenError),
    },
}
# Numbers that keep the tests quick, and yet are over the bounds.
NUMBERS = {"fault-huge": "-2", "fault-gzip-bomb": "-2"}
SILENT = ("fault-hang", "fault-stalled")
MIB = 2**20


async def complete(provider: LLMProvider) -> str:
    return (await provider.complete(QUESTION)).text


async def stream(provider: LLMProvider) -> str:
    batches = [batch async for batch in provider.stream(QUESTION)]
    return "".join(chunk.text for batch in batches for chunk in batch)


EITHER_WAY = pytest.mark.parametrize("call", [complete, stream])


@BOTH
def test_every_fault_of_the_sandbox_is_looked_at(upstream):
    faults = {name for name in MODELS if name.startswith("fault-")}
    assert faults == {*FAULTS, *OWN[upstream]}


@pytest.mark.parametrize(
    ("upstream", "model", "kinds"),
    [
        pytest.param(upstream, model, kinds, id=f"{upstream}-{model}")
        for upstream, own in OWN.items()
        for model, kinds in {**FAULTS, **own}.items()
    ],
)
@EITHER_WAY
async def test_every_fault_is_one_of_our_errors(
    provider_at, upstream, model, kinds, call
):
    patience = {"request_timeout": 0.1} if model in SILENT else {}
    provider = await provider_at(
        upstream, model + NUMBERS.get(model, ""), max_response_bytes=MIB, **patience
    )
    with pytest.raises(APIError) as caught:
        await call(provider)
    assert type(caught.value) is kinds[call is stream]


@BOTH
@EITHER_WAY
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("chunks-5", "1 2 3 4 5"),
        ("split-bytes", 'The sandbox read: "Hello there"'),
        ("slow-first-token-20", 'The sandbox read: "Hello there"'),
        ("length", "The sandbox read:"),
        ("refusal", "I'm sorry, but I can't help with that."),
        ("content-filter", 'The sandbox read: "Hello there"'),
        ("missing-usage", 'The sandbox read: "Hello there"'),
        ("negative-usage", 'The sandbox read: "Hello there"'),
        ("huge-usage", 'The sandbox read: "Hello there"'),
    ],
)
async def test_every_answer_is_read(provider_at, upstream, call, model, text):
    assert (await call(await provider_at(upstream, model))).strip() == text


@BOTH
@pytest.mark.parametrize("model", ["no-done", "noisy-stream", "unasked-usage"])
async def test_habits_of_streams_are_borne(provider_at, upstream, model):
    text = await stream(await provider_at(upstream, model))
    assert text == 'The sandbox read: "Hello there"'


@BOTH
@EITHER_WAY
async def test_the_advice_when_to_ask_again_is_read(provider_at, upstream, call):
    with pytest.raises(LLMRateLimitedError) as caught:
        await call(await provider_at(upstream, "fault-429-retry-after-7"))
    assert caught.value.retry_after_seconds == 7


@BOTH
async def test_a_caller_who_leaves_stops_the_upstream(provider_at, sandbox, upstream):
    batches = (await provider_at(upstream, "fault-stalled")).stream(QUESTION)
    await anext(batches)
    traffic = sandbox.app.state.traffic
    assert (traffic.open, traffic.aborted) == (1, 0)

    await batches.aclose()
    for _ in range(1000):
        if traffic.open:
            await asyncio.sleep(0.01)
    assert (traffic.open, traffic.aborted) == (0, 1)

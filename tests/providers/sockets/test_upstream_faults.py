"""Every way in which the sandbox misbehaves is one of our errors, from any vendor."""

import asyncio

import pytest

from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    RequestRejectedError,
    UnsupportedModelError,
)
from llm_proxy.providers import LLMProvider
from llm_proxy.providers.sandbox import MODELS, UNREACHABLE
from llm_proxy.types import ChatRequest, said

pytestmark = pytest.mark.integration

QUESTION = ChatRequest((said("user", "Hello there"),))
OPENAI = "openai"
ANTHROPIC = "anthropic"
GEMINI = "gemini/gemini-2.5-flash"
BEDROCK = "bedrock/anthropic.claude-sonnet-4-5"
EVERYWHERE = pytest.mark.parametrize("upstream", [OPENAI, ANTHROPIC, GEMINI, BEDROCK])

# What a fault is when the answer comes whole, and when it is streamed; None where the
# answer is taken for one.
Kinds = tuple[type[APIError] | None, type[APIError]]
UNREADABLE: Kinds = (LLMBadResponseError, LLMStreamBrokenError)
FAULTS: dict[str, Kinds] = {
    # Only the provider `sandbox` cannot reach them.
    **dict.fromkeys(UNREACHABLE, (RequestRejectedError,) * 2),
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
        (
            "fault-502-html",
            "fault-503-retry-after",
            "fault-529-retry-after",
            "fault-huge-error",
            "fault-200-error",
        ),
        (LLMUnavailableError,) * 2,
    ),
    **dict.fromkeys(
        [name for name in MODELS if name.startswith("fault-429")],
        (LLMRateLimitedError,) * 2,
    ),
    "fault-no-credit": (LLMQuotaExhaustedError,) * 2,
    "fault-spend-limit": (LLMQuotaExhaustedError,) * 2,
    **dict.fromkeys(
        [name for name in MODELS if name.startswith("fault-redirect")],
        (LLMBadResponseError,) * 2,
    ),
    **dict.fromkeys(
        ("fault-no-response", "fault-reset", "fault-huge-headers"),
        (LLMConnectionLostError,) * 2,
    ),
    **dict.fromkeys(
        ("fault-hang", "fault-hang-after-headers", "fault-stalled"),
        (LLMTimeoutError,) * 2,
    ),
    **dict.fromkeys(
        ("fault-cut", "fault-reset-midway", "fault-truncated", "fault-bad-chunk"),
        (LLMStreamBrokenError,) * 2,
    ),
    "fault-no-finish": (None, LLMStreamBrokenError),
    # Of these there is nothing without a stream, and the sandbox says so.
    "fault-done-without-finish": (RequestRejectedError, LLMStreamBrokenError),
    "fault-bad-piece": (RequestRejectedError, LLMStreamBrokenError),
    "fault-first-event-error": (RequestRejectedError, LLMUnavailableError),
    "fault-first-event-429": (RequestRejectedError, LLMRateLimitedError),
    "fault-mid-stream-error": (RequestRejectedError, LLMUnavailableError),
    **dict.fromkeys(
        (
            "fault-malformed",
            "fault-empty-body",
            "fault-endless",
            "fault-huge",
            "fault-huge-line",
            "fault-invalid-utf8",
            "fault-nan",
            "fault-infinity",
            "fault-exponent",
            "fault-digits",
            "fault-deep",
            "fault-lone-surrogate",
            "fault-raw-nul",
            "fault-nan-usage",
            "fault-json-null",
            "fault-json-list",
            "fault-json-object",
            "fault-no-choices",
            "fault-wrong-type",
        ),
        UNREADABLE,
    ),
    **dict.fromkeys(
        (
            "fault-null-content",
            "fault-empty-content",
            "fault-html",
            "fault-content-type",
            "fault-bad-gzip",
            "fault-gzip-bomb",
            "fault-deflate-bomb",
            "fault-zstd-bomb",
        ),
        (LLMBadResponseError,) * 2,
    ),
    "fault-content-filter": (LLMContentFilteredError,) * 2,
}
# What each vendor says in a way of its own.
OWN: dict[str, dict[str, Kinds]] = {
    # A 404 of OpenAI is about an address, others' about a model as well.
    OPENAI: {"fault-404": (LLMBadResponseError,) * 2},
    ANTHROPIC: {"fault-404": (UnsupportedModelError,) * 2},
    GEMINI: {
        "fault-404": (UnsupportedModelError,) * 2,
        # A quota that is used up looks like any other limit.
        "fault-no-credit": (LLMRateLimitedError,) * 2,
        "fault-spend-limit": (LLMRateLimitedError,) * 2,
        "fault-no-finish": UNREADABLE,
    },
    BEDROCK: {
        "fault-404": (LLMBadResponseError,) * 2,
        "fault-no-credit": (LLMCredentialsError,) * 2,
        "fault-spend-limit": (LLMRateLimitedError,) * 2,
        "fault-no-finish": UNREADABLE,
        # Nothing in the body of an error tells that it is one.
        "fault-200-error": UNREADABLE,
    },
}
# It has no end but that of all attempts together.
DRIP = "fault-drip"
# Numbers that keep the tests quick, and yet are over the bounds.
NUMBERS = {
    **dict.fromkeys(("fault-huge", "fault-huge-line", "fault-huge-error"), "-2"),
    **{f"fault-{coding}-bomb": "-2" for coding in ("gzip", "deflate", "zstd")},
    "fault-huge-headers": "-1",
}
SETTINGS: dict[str, dict[str, object]] = {
    **{
        model: {"request_timeout": 0.1}
        for model in ("fault-hang", "fault-hang-after-headers", "fault-stalled")
    },
    "fault-endless": {"max_response_bytes": 2**14},
    "fault-connect-hang": {"connect_timeout": 0.1},
}


async def complete(provider: LLMProvider) -> str:
    return (await provider.complete(QUESTION)).text


async def stream(provider: LLMProvider) -> str:
    batches = [batch async for batch in provider.stream(QUESTION)]
    return "".join(chunk.text for batch in batches for chunk in batch)


EITHER_WAY = pytest.mark.parametrize("call", [complete, stream])


@pytest.fixture
def faulty(provider_at):
    """Makes a provider for a fault, with the settings that it needs."""

    async def faulty(upstream: str, model: str) -> LLMProvider:
        settings = {"max_response_bytes": 2**20} | SETTINGS.get(model, {})
        return await provider_at(upstream, model + NUMBERS.get(model, ""), **settings)

    return faulty


@EVERYWHERE
def test_every_fault_of_the_sandbox_is_looked_at(upstream):
    faults = {name for name in MODELS if name.startswith("fault-")}
    assert faults == {*FAULTS, *OWN[upstream], DRIP}


@pytest.mark.parametrize(
    ("upstream", "model", "call", "kind"),
    [
        pytest.param(upstream, model, call, kind, id=f"{upstream}-{model}-{way}")
        for upstream, own in OWN.items()
        for model, kinds in (FAULTS | own).items()
        for call, way, kind in zip(
            (complete, stream), ("plain", "streamed"), kinds, strict=True
        )
        if kind is not None
    ],
)
async def test_every_fault_is_one_of_our_errors(faulty, upstream, model, call, kind):
    provider = await faulty(upstream, model)
    with pytest.raises(APIError) as caught:
        async with asyncio.timeout(30):
            await call(provider)
    assert type(caught.value) is kind


@EITHER_WAY
@pytest.mark.parametrize("model", UNREACHABLE)
async def test_who_cannot_be_reached_is_not_connected_to(make_factory, model, call):
    factory = make_factory(**SETTINGS.get(model, {}))
    with pytest.raises(APIError) as caught:
        await call(factory.get_provider("sandbox", model))
    assert type(caught.value) is LLMConnectionError


@EVERYWHERE
@EITHER_WAY
async def test_a_drip_lasts_as_long_as_it_is_listened_to(
    provider_at, sandbox, upstream, call
):
    provider = await provider_at(upstream, f"{DRIP}-20", request_timeout=0.2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await call(provider)
    traffic = sandbox.app.state.traffic
    for _ in range(1000):
        if traffic.open:
            await asyncio.sleep(0.01)
    assert (traffic.open, traffic.aborted) == (0, 1)


@EVERYWHERE
@EITHER_WAY
async def test_nobody_is_redirected(provider_at, sandbox, upstream, call):
    for model in FAULTS:
        if model.startswith("fault-redirect"):
            with pytest.raises(LLMBadResponseError):
                await call(await provider_at(upstream, model))
    paths = {request.path for request in sandbox.app.state.requests}
    assert "/v1/redirected" not in paths
    assert len(sandbox.app.state.requests) == 5


@EVERYWHERE
@EITHER_WAY
@pytest.mark.parametrize(
    ("advice", "seconds"),
    [
        ("-after-7", 7),
        ("-after-0", 0),
        ("-after-ms-250", 0.25),
        ("-after-fractional", 0.5),
        ("-after-absurd", 60),
        ("-after-past", 0),
        ("-after-negative", None),
        ("-after-rubbish", None),
        ("", None),
    ],
)
async def test_the_advice_when_to_ask_again_is_read(
    provider_at, upstream, call, advice, seconds
):
    model = f"fault-429-retry{advice}" if advice else "fault-429"
    with pytest.raises(LLMRateLimitedError) as caught:
        await call(await provider_at(upstream, model))
    assert caught.value.retry_after_seconds == seconds

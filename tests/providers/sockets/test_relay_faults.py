"""Faults of an upstream that speaks the caller's dialect are errors there, too."""

import asyncio

import orjson
import pytest

from llm_proxy.errors import APIError
from llm_proxy.providers.sandbox import MODELS
from llm_proxy.wire import (
    AnthropicSurface,
    Asked,
    Inquiry,
    OpenAIChatSurface,
    OpenAIResponsesSurface,
)

pytestmark = pytest.mark.integration

TALK = [{"role": "user", "content": "Hello there"}]
SURFACES = {
    "chat": (OpenAIChatSurface(), "openai", {"messages": TALK}),
    "messages": (AnthropicSurface(), "anthropic", {"messages": TALK, "max_tokens": 99}),
    "responses": (OpenAIResponsesSurface(), "openai", {"input": "Hello there"}),
}
HEADERS = {"messages": (("anthropic-version", "2023-06-01"),)}
# What is legal in the vendor's words is the caller's to judge.
PASSED_ON = {
    ("fault-no-finish", "plain"),
    *(
        (f"fault-{name}", way)
        for name in ("null-content", "empty-content", "content-filter")
        for way in ("plain", "streamed")
    ),
}
# The last event says that the answer is complete, whatever its status is.
COMPLETED = ("responses", "fault-done-without-finish", "streamed")
NUMBERS = {
    **dict.fromkeys(("fault-huge", "fault-huge-line", "fault-huge-error"), "-2"),
    **{f"fault-{coding}-bomb": "-2" for coding in ("gzip", "deflate", "zstd")},
    "fault-huge-headers": "-1",
}


def cases():
    for case in (
        (surface, model, way)
        for surface in SURFACES
        for model in MODELS
        for way in ("plain", "streamed")
        # A drip has no end but that of all attempts together.
        if model.startswith("fault-") and model != "fault-drip"
    ):
        yield pytest.param(*case, id="-".join(case))


@pytest.mark.parametrize(("surface", "model", "way"), [*cases()])
async def test_a_fault_is_an_error_unless_it_is_the_callers_to_judge(
    provider_at, surface, model, way
):
    writer, upstream, fields = SURFACES[surface]
    stream = way == "streamed"
    most = 2**14 if model == "fault-endless" else 2**20
    provider = await provider_at(
        upstream,
        model + NUMBERS.get(model, ""),
        request_timeout=0.3,
        max_v1_body_bytes=2**20,
        max_response_bytes=most,
    )
    fields = fields | {"model": model, "stream": stream}
    inquiry = Inquiry(
        writer,
        orjson.dumps(fields),
        Asked("id", 1, model, fields),
        stream=stream,
        headers=HEADERS.get(surface, ()),
    )
    try:
        async with asyncio.timeout(30):
            if stream:
                async for _ in provider.relay_stream(inquiry):
                    pass
            else:
                await provider.relay(inquiry)
    except APIError:
        is_error = True
    else:
        is_error = False
    passed_on = (model, way) in PASSED_ON or (surface, model, way) == COMPLETED
    assert is_error != passed_on

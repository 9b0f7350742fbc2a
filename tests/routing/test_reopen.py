import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from llm_proxy.errors import (
    LLMCredentialsError,
    LLMStreamBrokenError,
    LLMUnavailableError,
)
from llm_proxy.routing import Deployment, Health, Route, Target, Trace
from llm_proxy.types import ChatRequest, Chunk, said

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
FIRST, SECOND, THIRD = (Target(name, "m") for name in ("first", "second", "third"))
CUT = LLMStreamBrokenError(log_detail="cut")


def ask(provider):
    return provider.stream(QUESTION)


def has_content(chunk: Chunk) -> bool:
    return bool(chunk.text)


def route(*targets: Target, retries: int = 0) -> Route:
    return Route(tuple((Deployment(target),) for target in targets), retries, 20.0)


async def whole(router, where: Route, trace: Trace) -> str:
    """The text of the first stream that ends well."""
    opened = await router.open(where, ask, has_content, trace)
    source = opened.source
    while True:
        text = "".join(chunk.text for chunk in opened.first)
        try:
            async for batch in opened.rest:
                text += "".join(chunk.text for chunk in batch)
        except LLMStreamBrokenError as error:
            opened = await router.reopen(source, error, ask, has_content)
            assert opened.source is source
        else:
            source.attempt.end()
            return f"{source.target.provider}: {text}"


def outcomes(trace: Trace) -> list[tuple[str, str, str]]:
    return [(each.target.provider, each.outcome, each.code) for each in trace.tried]


async def test_the_next_answers_in_the_place_of_one_that_died(router, scripted, clock):
    health = Health(failures=1, cooldown_seconds=30, clock=clock)
    both = router(health, first=scripted(("Hel", CUT)), second=scripted(("Hi", "!")))
    trace = Trace()
    with capture_logs() as lines:
        assert await whole(both, route(FIRST, SECOND), trace) == "second: Hi!"

    assert outcomes(trace) == [
        ("first", "failed", "LLM_STREAM_BROKEN"),
        ("second", "answered", ""),
    ]
    assert trace.answered_by == SECOND
    assert health.condition(FIRST).state == "open"
    assert health.condition(SECOND).state == "closed"
    line = lines[-1]
    assert (line["event"], line["provider"]) == ("llm_stream_recovery", "first")


async def test_as_often_as_it_takes(router, scripted):
    dying = scripted(("Hel", CUT))
    three = router(first=dying, second=scripted(("Ho", CUT)), third=scripted("Hi"))
    where = route(FIRST, SECOND, THIRD)
    assert await whole(three, where, Trace()) == "third: Hi"
    assert dying.calls == 1


async def test_the_same_if_there_is_nobody_else(router, scripted):
    first = scripted(("Hel", CUT), ("Hel", "lo"))
    where = route(FIRST, retries=1)
    assert await whole(router(first=first), where, Trace()) == "first: Hello"


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_but_no_more_often_than_else(router, scripted, retries):
    first = scripted(("Hel", CUT))
    with pytest.raises(LLMStreamBrokenError) as caught:
        await whole(router(first=first), route(FIRST, retries=retries), Trace())
    assert caught.value is CUT
    assert first.calls == retries + 1


async def test_if_others_fail_as_well_it_is_their_error(router, scripted):
    both = router(first=scripted(("Hel", CUT)), second=scripted(LLMCredentialsError()))
    with pytest.raises(LLMCredentialsError):
        await whole(both, route(FIRST, SECOND), Trace())


async def test_the_next_has_as_much_time_as_the_first(router, scripted):
    class Slow(scripted):
        async def stream(self, request):
            await asyncio.sleep(0.01)
            yield [Chunk("Hi")]

    both = router(first=scripted(("Hel", CUT)), second=Slow())
    where = replace(route(FIRST, SECOND), deadline_seconds=0.15)
    opened = await both.open(where, ask, has_content, Trace())
    await asyncio.sleep(0.2)
    opened = await both.reopen(opened.source, CUT, ask, has_content)
    assert opened.source.target == SECOND


async def test_what_was_asked_before_is_not_asked_again(router, scripted):
    first = scripted(LLMUnavailableError())
    second, third = scripted(("Hel", CUT)), scripted("Hi")
    three = router(first=first, second=second, third=third)
    where = route(FIRST, SECOND, THIRD)
    assert await whole(three, where, Trace()) == "third: Hi"
    assert first.calls == 1

import asyncio
from contextlib import aclosing

import pytest

from llm_proxy.errors import (
    LLMCredentialsError,
    LLMTimeoutError,
    LLMUnavailableError,
    RequestRejectedError,
)
from llm_proxy.routing import (
    Deployment,
    Health,
    OpenStream,
    RetryBudget,
    Route,
    Target,
    Trace,
)
from llm_proxy.types import ChatRequest, Chunk, said

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
FIRST, SECOND = Target("first", "m"), Target("second", "m")
AFTER = 0.02


@pytest.fixture
def slow(scripted):
    """Makes providers that take their time before each outcome."""

    class Slow(scripted):
        def __init__(self, seconds: float, *outcomes: object) -> None:
            super().__init__(*outcomes)
            self._seconds = seconds

        async def complete(self, request):
            await asyncio.sleep(self._seconds)
            return await super().complete(request)

        async def stream(self, request):
            await asyncio.sleep(self._seconds)
            async for batch in super().stream(request):
                yield batch

    return Slow


def route(*targets: Target, deadline: float = 5.0) -> Route:
    tiers = tuple((Deployment(target),) for target in targets or (FIRST, SECOND))
    return Route(tiers, 0, deadline, hedge_after=AFTER)


async def complete(router, where: Route, trace: Trace) -> str:
    reply = await router.ask(where, lambda each: each.complete(QUESTION), trace)
    return reply.answer.text


async def opened(router, where: Route, trace: Trace) -> OpenStream[Chunk]:
    return await router.open(
        where,
        lambda each: each.stream(QUESTION),
        lambda chunk: bool(chunk.text),
        trace,
    )


async def stream(router, where: Route, trace: Trace) -> str:
    found = await opened(router, where, trace)
    rest = [chunk async for batch in found.rest for chunk in batch]
    found.source.attempt.end()
    return "".join(chunk.text for chunk in [*found.first, *rest])


BOTH_CALLS = pytest.mark.parametrize("call", [complete, stream])


def outcomes(trace: Trace) -> list[tuple[str, str]]:
    return [(each.target.provider, each.outcome) for each in trace.tried]


@BOTH_CALLS
async def test_who_answers_in_time_is_asked_alone(router, scripted, call):
    second = scripted("Ho")
    both = router(first=scripted("Hi"), second=second)
    assert await call(both, route(), Trace()) == "Hi"
    assert second.calls == 0


@BOTH_CALLS
async def test_the_second_is_asked_when_the_first_is_silent(
    router, scripted, forever, clock, call
):
    health = Health(failures=1, cooldown_seconds=30, clock=clock)
    both = router(health, first=scripted(forever), second=scripted("Ho"))
    trace = Trace()
    assert await call(both, route(), trace) == "Ho"

    assert outcomes(trace) == [("second", "answered"), ("first", "abandoned")]
    assert (trace.answered_by, trace.attempts) == (SECOND, 2)
    # Who was not waited for has not failed.
    assert health.condition(FIRST).state == "closed"
    assert health.condition(FIRST).in_flight == 0


@BOTH_CALLS
async def test_the_first_may_still_win(router, slow, scripted, forever, call):
    both = router(first=slow(2 * AFTER, "Hi"), second=scripted(forever))
    trace = Trace()
    assert await call(both, route(), trace) == "Hi"
    assert outcomes(trace) == [("first", "answered"), ("second", "abandoned")]


async def test_the_losers_stream_is_closed(router, scripted, forever):
    first = scripted((forever,))
    assert await stream(router(first=first, second=scripted("Ho")), route(), Trace())
    assert first.closed == 1


@BOTH_CALLS
@pytest.mark.parametrize("seconds", [0.0, 4 * AFTER])
async def test_if_both_fail_it_is_the_firsts_error(
    router, slow, scripted, call, seconds
):
    error = LLMCredentialsError()
    both = router(
        first=slow(2 * AFTER, error), second=slow(seconds, LLMUnavailableError())
    )
    with pytest.raises(LLMCredentialsError) as caught:
        await call(both, route(), Trace())
    assert caught.value is error


@BOTH_CALLS
async def test_a_failure_of_the_second_does_not_end_the_first(
    router, slow, scripted, call
):
    second = scripted(LLMUnavailableError())
    both = router(first=slow(3 * AFTER, "Hi"), second=second)
    assert await call(both, route(), Trace()) == "Hi"
    assert second.calls == 1


async def test_a_mistake_is_told_before_the_second_is_asked(router, scripted):
    second = scripted("Ho")
    both = router(first=scripted(RequestRejectedError()), second=second)
    with pytest.raises(RequestRejectedError):
        await complete(both, route(), Trace())
    assert second.calls == 0


async def test_a_failure_in_time_is_an_ordinary_fallback(router, scripted):
    budget = RetryBudget()
    both = router(
        budget=budget, first=scripted(LLMUnavailableError()), second=scripted("Ho")
    )
    trace = Trace()
    assert await complete(both, route(), trace) == "Ho"
    assert outcomes(trace) == [("first", "failed"), ("second", "answered")]
    assert budget.left("second") == 50


async def test_without_an_alternative_the_first_is_awaited(router, slow):
    first = slow(3 * AFTER, "Hi")
    assert await complete(router(first=first), route(FIRST), Trace()) == "Hi"
    assert first.calls == 1


async def test_without_budget_as_well(router, slow, scripted):
    second = scripted("Ho")
    both = router(
        budget=RetryBudget(capacity=0), first=slow(3 * AFTER, "Hi"), second=second
    )
    assert await complete(both, route(), Trace()) == "Hi"
    assert second.calls == 0


@BOTH_CALLS
async def test_a_cancelled_call_ends_both(router, scripted, forever, clock, call):
    health = Health(failures=1, cooldown_seconds=30, clock=clock)
    is_asked = asyncio.Event()

    class Second(scripted):
        def _next(self):
            is_asked.set()
            return super()._next()

    both = router(health, first=scripted(forever), second=Second(forever))
    trace = Trace()
    task = asyncio.ensure_future(call(both, route(), trace))
    await is_asked.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(outcomes(trace)) == [("first", "abandoned"), ("second", "abandoned")]
    assert {health.condition(each).in_flight for each in (FIRST, SECOND)} == {0}


async def test_one_call_alone_tries_whether_an_outage_is_over(
    router, slow, scripted, clock
):
    health = Health(failures=1, cooldown_seconds=30, clock=clock)
    health.begin(FIRST).end(LLMUnavailableError())
    clock.now = 31
    first = slow(AFTER / 2, "Hi")
    both = router(health, first=first, second=scripted("Ho"))
    calls = (complete(both, route(), Trace()) for _ in range(3))
    assert sorted(await asyncio.gather(*calls)) == ["Hi", "Ho", "Ho"]
    assert first.calls == 1


async def test_the_deadline_ends_both(router, scripted, forever):
    first, second = scripted((forever,)), scripted((forever,))
    with pytest.raises(LLMTimeoutError):
        await stream(router(first=first, second=second), route(deadline=0.1), Trace())
    assert (first.closed, second.closed) == (1, 1)


async def test_of_two_answers_at_once_one_is_put_away(router, scripted, clock):
    gate = asyncio.Event()

    class Gated(scripted):
        async def stream(self, request):
            await gate.wait()
            async with aclosing(super().stream(request)) as batches:
                async for batch in batches:
                    yield batch

    first, second = Gated(("Hi", "!")), Gated(("Ho", "!"))
    health = Health(failures=1, cooldown_seconds=30, clock=clock)
    both = router(health, first=first, second=second)
    asyncio.get_running_loop().call_later(4 * AFTER, gate.set)
    found = await opened(both, route(), Trace())
    assert first.closed + second.closed == 1

    await found.rest.aclose()
    found.source.attempt.end()
    assert (first.closed, second.closed) == (1, 1)
    assert {health.condition(each).in_flight for each in (FIRST, SECOND)} == {0}

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    LLMAPIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    ProviderNotConfiguredError,
    RequestRejectedError,
    UnsupportedFeatureError,
    UnsupportedModelError,
)
from llm_proxy.routing import (
    Backoff,
    Deployment,
    Health,
    OpenStream,
    Reply,
    RetryBudget,
    Route,
    Target,
    Trace,
)
from llm_proxy.types import ChatRequest, ChatResponse, Chunk, Timeouts, said

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
FIRST, SECOND, THIRD = (Target(name, "m") for name in ("first", "second", "third"))


def route(
    *targets: Target,
    attempts: int = 3,
    deadline: float = 20,
    first_token: float | None = None,
) -> Route:
    tiers = tuple((Deployment(target),) for target in targets or (FIRST,))
    return Route(tiers, attempts - 1, deadline, Timeouts(first_token=first_token))


async def ask(router, where: Route, trace: Trace | None = None) -> Reply[ChatResponse]:
    return await router.ask(
        where, lambda provider: provider.complete(QUESTION), trace or Trace()
    )


async def open_stream(
    router, where: Route, trace: Trace | None = None
) -> OpenStream[Chunk]:
    return await router.open(
        where,
        lambda provider: provider.stream(QUESTION),
        lambda chunk: bool(chunk.text.strip()),
        trace or Trace(),
    )


async def complete(router, where: Route, trace: Trace | None = None) -> str:
    return (await ask(router, where, trace)).answer.text


async def stream(router, where: Route, trace: Trace | None = None) -> str:
    opened = await open_stream(router, where, trace)
    rest = [batch async for batch in opened.rest]
    return "".join(chunk.text for batch in [opened.first, *rest] for chunk in batch)


BOTH_CALLS = pytest.mark.parametrize("call", [complete, stream])


@BOTH_CALLS
async def test_a_good_answer_needs_one_attempt(router, scripted, waits, call):
    provider = scripted("Hi")

    assert await call(router(first=provider), route()) == "Hi"
    assert (provider.calls, waits) == (1, [])


async def test_the_reply_says_who_gave_it(router, scripted):
    both = router(first=scripted(LLMUnavailableError()), second=scripted("Hi", "Ho"))
    where = route(FIRST, SECOND, attempts=1)

    reply = await ask(both, where)
    assert (reply.target, reply.answer.model) == (SECOND, "scripted-1")
    assert (await open_stream(both, where)).source.target == SECOND


class TestRetries:
    @BOTH_CALLS
    @pytest.mark.parametrize(
        "kind", [LLMConnectionLostError, LLMUnavailableError, LLMRateLimitedError]
    )
    async def test_what_may_pass_is_tried_again(self, router, scripted, call, kind):
        provider = scripted(kind(), kind(), "Hi")

        assert await call(router(first=provider), route()) == "Hi"
        assert provider.calls == 3

    @BOTH_CALLS
    @pytest.mark.parametrize(
        "kind",
        [
            LLMAPIError,
            LLMTimeoutError,
            LLMCredentialsError,
            LLMQuotaExhaustedError,
            LLMBadResponseError,
            LLMStreamBrokenError,
            LLMContentFilteredError,
            RequestRejectedError,
            PromptTooLongError,
            UnsupportedModelError,
            ProviderNotConfiguredError,
        ],
    )
    async def test_nothing_else_is(self, router, scripted, waits, call, kind):
        provider = scripted(kind(), "Hi")

        with pytest.raises(kind):
            await call(router(first=provider), route())
        assert (provider.calls, waits) == (1, [])

    @BOTH_CALLS
    async def test_what_turns_hopeless_is_given_up(self, router, scripted, waits, call):
        provider = scripted(LLMUnavailableError(), LLMCredentialsError(), "Hi")

        with pytest.raises(LLMCredentialsError):
            await call(router(first=provider), route())
        assert (provider.calls, len(waits)) == (2, 1)

    @BOTH_CALLS
    async def test_who_cannot_be_reached_twice_is_not_there(
        self, router, scripted, call
    ):
        provider = scripted(LLMConnectionError(), LLMConnectionError(), "Hi")

        with pytest.raises(LLMConnectionError):
            await call(router(first=provider), route())
        assert provider.calls == 2

    @BOTH_CALLS
    @pytest.mark.parametrize("attempts", [1, 2, 3, 5])
    async def test_attempts_are_counted(self, router, scripted, waits, call, attempts):
        provider = scripted(LLMUnavailableError())

        with pytest.raises(LLMUnavailableError):
            await call(router(first=provider), route(attempts=attempts))
        assert (provider.calls, len(waits)) == (attempts, attempts - 1)

    @BOTH_CALLS
    async def test_one_that_succeeds_costs_nothing(self, router, scripted, call):
        budget = RetryBudget(capacity=1)
        provider = scripted(*[LLMUnavailableError(), "Hi"] * 5)
        made = router(budget=budget, first=provider)
        for _ in range(5):
            assert await call(made, route()) == "Hi"
        assert budget.left("first") == 1

    async def test_the_last_error_is_raised_with_its_cause(self, router, scripted):
        cause = ConnectionResetError("reset")
        last = LLMConnectionLostError(provider="first")
        last.__cause__ = cause
        provider = scripted(LLMUnavailableError(), LLMUnavailableError(), last)

        with pytest.raises(LLMConnectionLostError) as caught:
            await complete(router(first=provider), route())
        assert caught.value is last
        assert caught.value.__cause__ is cause

    async def test_every_failed_attempt_is_logged(self, router, scripted):
        error = LLMRateLimitedError(log_detail="status=429", retry_after_seconds=5)
        with capture_logs() as lines:
            await complete(router(first=scripted(error, error, "Hi")), route())

        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("llm_attempt_failed", "warning")
        ] * 2
        wanted = {
            "provider": "first",
            "model": "m",
            "code": "LLM_RATE_LIMITED",
            "detail": "status=429",
            "retryAfterSeconds": 5,
        }
        assert lines[0].items() >= wanted.items()


class TestWaits:
    async def waits(self, router, scripted, waits, backoff, *errors, deadline=1e6):
        provider = scripted(*errors, "Hi")
        where = route(attempts=len(errors) + 1, deadline=deadline)
        assert await complete(router(backoff=backoff, first=provider), where) == "Hi"
        return list(waits)

    async def test_they_grow_from_four_to_ten_seconds(self, router, scripted, waits):
        steps = await self.waits(
            router,
            scripted,
            waits,
            Backoff(jitter_seconds=0),
            *[LLMUnavailableError()] * 6,
        )
        assert steps == [4, 4, 4, 8, 10, 10]

    async def test_up_to_a_second_is_added_at_random(self, router, scripted, waits):
        steps = await self.waits(
            router, scripted, waits, None, *[LLMUnavailableError()] * 40
        )
        assert all(4 <= step <= 11 for step in steps)
        assert len({round(step % 1, 3) for step in steps}) > 5

    @pytest.mark.parametrize("kind", [LLMRateLimitedError, LLMUnavailableError])
    @pytest.mark.parametrize("seconds", [0.25, 3, 59])
    async def test_the_upstreams_advice_goes_before_them(
        self, router, scripted, waits, kind, seconds
    ):
        error = kind(retry_after_seconds=seconds)
        steps = await self.waits(router, scripted, waits, None, error)
        assert steps == [pytest.approx(seconds)]

    async def test_at_once_is_too_soon(self, router, scripted, waits):
        error = LLMRateLimitedError(retry_after_seconds=0)
        steps = await self.waits(router, scripted, waits, None, error, error)
        assert steps == [pytest.approx(0.1), pytest.approx(0.2)]

    async def test_advice_beyond_all_patience_is_not_awaited(
        self, router, scripted, waits
    ):
        provider = scripted(LLMRateLimitedError(retry_after_seconds=61), "Hi")

        with pytest.raises(LLMRateLimitedError):
            await complete(router(first=provider), route(deadline=1e6))
        assert (provider.calls, waits) == (1, [])

    @BOTH_CALLS
    async def test_one_that_the_deadline_does_not_allow_ends_the_attempts(
        self, router, scripted, waits, call
    ):
        error = LLMRateLimitedError(retry_after_seconds=30)
        provider = scripted(error, "Hi")

        with pytest.raises(LLMRateLimitedError) as caught:
            await call(router(first=provider), route(deadline=29))
        assert caught.value is error
        assert (provider.calls, waits) == (1, [])

    async def test_it_leaves_the_time_to_the_next_target(self, router, scripted, waits):
        first = scripted(LLMRateLimitedError(retry_after_seconds=60))
        where = route(FIRST, SECOND, deadline=20)

        assert await complete(router(first=first, second=scripted("Hi")), where) == "Hi"
        assert waits == []


class TestDeadline:
    @BOTH_CALLS
    async def test_it_cuts_an_attempt_that_hangs(self, router, scripted, forever, call):
        with pytest.raises(LLMTimeoutError) as caught:
            await call(router(first=scripted(forever)), route(deadline=0.05))
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert caught.value.status == 504

    @BOTH_CALLS
    async def test_it_is_one_for_all(self, router, scripted, forever, call):
        silent = [scripted(forever) for _ in range(3)]
        first, second, third = silent
        everybody = router(first=first, second=second, third=third)

        with pytest.raises(LLMTimeoutError):
            await call(everybody, route(FIRST, SECOND, THIRD, deadline=0.1))
        assert [each.calls for each in silent] == [1, 1, 1]

    @BOTH_CALLS
    async def test_who_is_silent_leaves_time_for_the_next(
        self, router, scripted, forever, call
    ):
        both = router(first=scripted(forever), second=scripted("Hi"))
        trace = Trace()
        assert await call(both, route(FIRST, SECOND, deadline=0.1), trace) == "Hi"
        outcomes = [(each.outcome, each.code) for each in trace.tried]
        assert outcomes == [("failed", "LLM_TIMEOUT"), ("answered", "")]

    async def test_it_needs_no_time_for_who_cannot_be_asked(
        self, router, scripted, clock
    ):
        class Slow(scripted):
            async def complete(self, request):
                await asyncio.sleep(0.15)
                return await super().complete(request)

        health = Health(failures=1, cooldown_seconds=30, clock=clock)
        health.begin(SECOND).end(LLMUnavailableError())
        both = router(health, first=Slow("Hi"), second=scripted("Ho"))
        assert await complete(both, route(FIRST, SECOND, deadline=0.25)) == "Hi"

    @BOTH_CALLS
    @pytest.mark.parametrize("targets", [(FIRST,), (FIRST, SECOND)])
    @pytest.mark.parametrize("is_hurried", [False, True])
    async def test_silence_counts_unless_the_caller_wants_it_sooner(
        self, router, scripted, forever, clock, call, targets, is_hurried
    ):
        health = Health(failures=1, cooldown_seconds=30, clock=clock)
        where = replace(route(*targets, deadline=0.06), is_hurried=is_hurried)
        both = router(health, first=scripted(forever), second=scripted(forever))

        with pytest.raises(LLMTimeoutError):
            await call(both, where)
        for target in targets:
            state = health.condition(target).state
            assert state == ("closed" if is_hurried else "open")
            assert health.condition(target).in_flight == 0

    async def test_it_closes_the_stream_that_hangs(self, router, scripted, forever):
        provider = scripted((forever,))

        with pytest.raises(LLMTimeoutError):
            await stream(router(first=provider), route(deadline=0.05))
        assert provider.closed == 1


class TestFirstToken:
    async def test_silence_is_a_time_out_of_the_attempt(
        self, router, scripted, forever
    ):
        first, second = scripted(forever), scripted("Hi")
        where = route(FIRST, SECOND, first_token=0.05)

        assert await stream(router(first=first, second=second), where) == "Hi"
        assert first.calls == 1

    async def test_it_says_whose(self, router, scripted, forever):
        with pytest.raises(LLMTimeoutError) as caught:
            await stream(router(first=scripted(forever)), route(first_token=0.05))
        assert caught.value.provider == "first"

    async def test_it_does_not_bind_complete_answers(self, router, scripted):
        class Slow(scripted):
            async def complete(self, request):
                await asyncio.sleep(0.05)
                return await super().complete(request)

        where = route(first_token=0.01)
        assert await complete(router(first=Slow("Hi")), where) == "Hi"

    async def test_chunks_without_text_do_not_count(self, router, scripted, forever):
        first, second = scripted(("", " ", forever)), scripted(("Hi",))
        where = route(FIRST, SECOND, first_token=0.05)

        assert await stream(router(first=first, second=second), where) == "Hi"
        assert first.closed == 1

    async def test_after_the_first_text_it_does_not_bind(self, router, scripted):
        release = asyncio.Event()

        class Slow(scripted):
            async def stream(self, request):
                yield [Chunk("Hel")]
                await release.wait()
                yield [Chunk("lo")]

        where = route(first_token=0.05, deadline=0.05)
        opened = await open_stream(router(first=Slow("")), where)
        await asyncio.sleep(0.1)
        release.set()
        assert [batch async for batch in opened.rest] == [[Chunk("lo")]]


class TestFallbacks:
    @BOTH_CALLS
    @pytest.mark.parametrize(
        "kind",
        [
            LLMUnavailableError,
            LLMRateLimitedError,
            LLMConnectionError,
            LLMTimeoutError,
            LLMCredentialsError,
            LLMQuotaExhaustedError,
            LLMBadResponseError,
            LLMStreamBrokenError,
            ProviderNotConfiguredError,
        ],
    )
    async def test_they_answer_for_an_upstream_that_cannot(
        self, router, scripted, call, kind
    ):
        all_three = router(
            first=scripted(kind()), second=scripted(kind()), third=scripted("Hi")
        )
        where = route(FIRST, SECOND, THIRD, attempts=2)
        assert await call(all_three, where) == "Hi"

    async def test_one_that_is_not_set_up_is_passed_over(self, router, scripted):
        assert (
            await complete(router(second=scripted("Hi")), route(FIRST, SECOND)) == "Hi"
        )

    async def test_they_are_asked_in_their_order(self, router, scripted):
        first, second = scripted(LLMCredentialsError()), scripted("Hi")
        third = scripted("Ho")
        all_three = router(first=first, second=second, third=third)

        assert await complete(all_three, route(FIRST, SECOND, THIRD)) == "Hi"
        assert [each.calls for each in (first, second, third)] == [1, 1, 0]

    async def test_each_gets_all_attempts(self, router, scripted):
        first, second = scripted(LLMUnavailableError()), scripted(LLMUnavailableError())

        with pytest.raises(LLMUnavailableError):
            await complete(router(first=first, second=second), route(FIRST, SECOND))
        assert (first.calls, second.calls) == (3, 3)

    @BOTH_CALLS
    @pytest.mark.parametrize(
        "kind",
        [
            InvalidInputError,
            RequestRejectedError,
            PromptTooLongError,
            UnsupportedModelError,
            LLMContentFilteredError,
        ],
    )
    async def test_a_mistake_or_a_filter_is_not_carried_on(
        self, router, scripted, call, kind
    ):
        second = scripted("Hi")

        with pytest.raises(kind):
            await call(
                router(first=scripted(kind()), second=second), route(FIRST, SECOND)
            )
        assert second.calls == 0

    async def test_the_last_ones_error_is_raised(self, router, scripted):
        both = router(
            first=scripted(LLMCredentialsError()),
            second=scripted(LLMBadResponseError()),
        )
        with pytest.raises(LLMBadResponseError):
            await complete(both, route(FIRST, SECOND))

    async def test_they_are_logged(self, router, scripted):
        both = router(first=scripted(LLMCredentialsError()), second=scripted("Hi"))
        with capture_logs() as lines:
            await complete(both, route(FIRST, SECOND))

        line = lines[-1]
        assert (line["event"], line["log_level"]) == ("llm_fallback", "warning")
        assert (line["provider"], line["code"]) == ("first", "LLM_CREDENTIALS_REJECTED")


class TestStreams:
    async def test_the_first_batch_goes_up_to_the_first_text(self, router, scripted):
        provider = scripted(("", " ", "Hel", "lo"))
        opened = await open_stream(router(first=provider), route())

        assert opened.first == [Chunk(""), Chunk(" "), Chunk("Hel")]
        assert [batch async for batch in opened.rest] == [[Chunk("lo")]]

    async def test_what_fails_before_the_first_text_is_tried_again(
        self, router, scripted
    ):
        provider = scripted(("", LLMUnavailableError()), ("Hel", "lo"))

        assert await stream(router(first=provider), route()) == "Hello"
        assert provider.closed == 2

    async def test_what_fails_later_is_not(self, router, scripted):
        first, second = scripted(("Hel", LLMUnavailableError())), scripted("Hi")
        both = router(first=first, second=second)
        opened = await open_stream(both, route(FIRST, SECOND))

        with pytest.raises(LLMUnavailableError):
            await anext(opened.rest)
        assert (first.calls, second.calls) == (1, 0)

    @pytest.mark.parametrize("pieces", [(), ("",), ("", " \n")])
    async def test_one_without_text_is_no_answer(self, router, scripted, pieces):
        with pytest.raises(LLMBadResponseError):
            await stream(router(first=scripted(pieces)), route())

    async def test_closing_the_rest_closes_the_provider(
        self, router, scripted, forever
    ):
        provider = scripted(("Hel", forever))
        opened = await open_stream(router(first=provider), route())
        assert provider.closed == 0

        await opened.rest.aclose()
        assert provider.closed == 1


class TestBreaker:
    @pytest.fixture
    def health(self, clock):
        return Health(failures=2, cooldown_seconds=30, clock=clock)

    async def refused(self, call, router, *targets: Target) -> APIError:
        with pytest.raises(APIError) as caught:
            await call(router, route(*targets, attempts=1))
        return caught.value

    @BOTH_CALLS
    async def test_it_spares_an_upstream_that_is_down(
        self, router, scripted, health, clock, call
    ):
        provider = scripted(LLMUnavailableError(), LLMUnavailableError(), "Hi")
        guarded = router(health, first=provider)
        for _ in range(2):
            assert type(await self.refused(call, guarded)) is LLMUnavailableError
        assert type(await self.refused(call, guarded)) is LLMCoolingDownError
        assert provider.calls == 2

        clock.now = 31
        assert await call(guarded, route()) == "Hi"

    async def test_it_sends_calls_to_the_fallback_at_once(
        self, router, scripted, health
    ):
        first = scripted(LLMTimeoutError())
        guarded = router(health, first=first, second=scripted("Hi"))
        for _ in range(5):
            assert await complete(guarded, route(FIRST, SECOND)) == "Hi"
        assert first.calls == 2

    async def test_it_ends_the_attempts_of_the_call_that_opens_it(
        self, router, scripted, health
    ):
        provider = scripted(LLMUnavailableError())
        with pytest.raises(LLMUnavailableError):
            await complete(router(health, first=provider), route(attempts=5))
        assert provider.calls == 2

    async def test_a_success_closes_it(self, router, scripted, health):
        error = LLMUnavailableError()
        guarded = router(health, first=scripted(error, "Hi", error, "Hi"))
        for _ in range(2):
            await self.refused(complete, guarded)
            assert await complete(guarded, route()) == "Hi"

    async def test_who_refuses_a_request_is_alive(self, router, scripted, health):
        down, refusal = LLMUnavailableError(), RequestRejectedError()
        provider = scripted(down, refusal, down, "Hi")
        guarded = router(health, first=provider)
        for _ in range(3):
            await self.refused(complete, guarded)
        assert await complete(guarded, route()) == "Hi"

    async def test_a_stream_that_dies_later_is_a_failure(
        self, router, scripted, health
    ):
        error = LLMStreamBrokenError()
        guarded = router(health, first=scripted(("H", error)))
        for _ in range(2):
            opened = await open_stream(guarded, route())
            with pytest.raises(LLMStreamBrokenError):
                await anext(opened.rest)
            opened.source.attempt.end(error)
        assert type(await self.refused(stream, guarded)) is LLMCoolingDownError

    async def test_silence_before_the_first_token_counts(
        self, router, scripted, health, forever
    ):
        provider = scripted(forever)
        guarded = router(health, first=provider)
        for _ in range(3):
            with pytest.raises((LLMTimeoutError, LLMCoolingDownError)):
                await stream(guarded, route(first_token=0.02))
        assert provider.calls == 2

    async def test_it_may_open_while_a_call_waits(
        self, router, scripted, health, waits, monkeypatch
    ):
        async def sleep(seconds: float) -> None:
            for _ in range(2):
                health.begin(FIRST).end(LLMUnavailableError())

        monkeypatch.setattr(waits, "sleep", sleep)
        first = scripted(LLMUnavailableError(), "Hi")
        both = router(health, first=first, second=scripted("Ho"))
        assert await complete(both, route(FIRST, SECOND)) == "Ho"
        assert first.calls == 1


class TestTrace:
    @BOTH_CALLS
    async def test_it_tells_of_everybody(self, router, scripted, call, clock):
        health = Health(failures=5, cooldown_seconds=30, clock=clock)
        health.begin(THIRD).end(LLMRateLimitedError(retry_after_seconds=99))
        both = router(
            health,
            first=scripted(
                LLMUnavailableError(log_detail="SECRET"), UnsupportedFeatureError()
            ),
            third=scripted("Ha"),
            fourth=scripted("Hi"),
        )
        trace = Trace("id", "ann", "smart")
        fourth = Target("fourth", "m")
        await call(both, route(FIRST, SECOND, THIRD, fourth), trace)

        assert [(each.target, each.outcome, each.code) for each in trace.tried] == [
            (FIRST, "failed", "LLM_UNAVAILABLE"),
            (FIRST, "passed_over", "UNSUPPORTED_FEATURE"),
            (SECOND, "passed_over", "PROVIDER_NOT_CONFIGURED"),
            (THIRD, "passed_over", "LLM_RATE_LIMITED"),
            (fourth, "answered", ""),
        ]
        # Callers may read it.
        assert all(each.detail for each in trace.tried[:-1])
        assert "SECRET" not in repr(trace.tried)
        assert (trace.answered_by, trace.attempts) == (fourth, 2)

    async def test_it_tells_how_long_we_waited(self, router, scripted):
        error = LLMUnavailableError(retry_after_seconds=5)
        trace = Trace()
        await complete(router(first=scripted(error, "Hi")), route(), trace)
        assert [each.waited_seconds for each in trace.tried] == [0, 5]

    async def test_a_defect_is_nobodys_failure(self, router, scripted, clock):
        health = Health(failures=1, cooldown_seconds=30, clock=clock)
        trace = Trace()
        with pytest.raises(KeyError):
            await complete(
                router(health, first=scripted(KeyError())), route(FIRST), trace
            )
        assert [each.outcome for each in trace.tried] == ["abandoned"]
        assert health.condition(FIRST).state == "closed"


class TestCancellation:
    @BOTH_CALLS
    async def test_it_ends_an_attempt(self, router, scripted, forever, call):
        provider = scripted(forever)
        both = router(first=provider, second=scripted("Hi"))
        task = asyncio.ensure_future(call(both, route(FIRST, SECOND)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert provider.calls == 1
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

    @BOTH_CALLS
    async def test_it_ends_a_wait(self, router, scripted, waits, monkeypatch, call):
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(waits, "sleep", sleep)
        provider = scripted(LLMUnavailableError(), "Hi")
        task = asyncio.ensure_future(call(router(first=provider), route()))
        await waiting.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert provider.calls == 1

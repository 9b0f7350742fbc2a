import asyncio
import traceback

import pytest

from llm_proxy.cache.flights import Flights, Lead
from llm_proxy.errors import (
    APIError,
    LLMTimeoutError,
    PromptTooLongError,
    RequestRejectedError,
)

LONG = 60.0


async def turn() -> None:
    """Lets all others run until they wait for something."""
    for _ in range(5):
        await asyncio.sleep(0)


def followers(flights, number, seconds=LONG) -> list[asyncio.Task]:
    return [asyncio.create_task(flights.join("k", seconds)) for _ in range(number)]


def leads(tasks) -> list[Lead]:
    return [
        task.result()
        for task in tasks
        if task.done() and not task.cancelled() and isinstance(task.result(), Lead)
    ]


async def test_one_leads_and_all_get_its_answer():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 10)
    await turn()
    assert not any(task.done() for task in waiting)

    lead.land("answer")

    assert await asyncio.gather(*waiting) == ["answer"] * 10


async def test_questions_do_not_wait_for_each_other():
    flights = Flights()

    assert isinstance(await flights.join("k", LONG), Lead)
    assert isinstance(await flights.join("other", LONG), Lead)


async def test_who_comes_after_the_landing_asks_anew():
    flights = Flights()
    (await flights.join("k", LONG)).land("answer")

    assert isinstance(await flights.join("k", LONG), Lead)


@pytest.mark.parametrize(
    "error", [None, asyncio.CancelledError(), LLMTimeoutError(), ValueError()]
)
async def test_exactly_one_takes_over_from_a_leader_that_fails(error):
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 5)
    await turn()

    for failed in range(1, 4):
        lead.fail(error)
        await turn()
        assert len(leads(waiting)) == failed
        lead = leads(waiting)[-1]
    latecomers = followers(flights, 2)
    await turn()
    lead.land("answer")

    assert (await asyncio.gather(*waiting))[3:] == ["answer"] * 2
    assert await asyncio.gather(*latecomers) == ["answer"] * 2


async def test_a_mistake_in_the_question_is_told_to_all():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 3)
    await turn()
    error = RequestRejectedError("too hot", details=["temperature"], log_detail="t")
    error.headers = ((b"x", b"y"),)

    lead.fail(error)

    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in told] == [RequestRejectedError] * 3
    assert len({id(each) for each in (error, *told)}) == 4
    assert all(vars(each) == vars(error) for each in told)
    assert isinstance(await flights.join("k", LONG), Lead)


async def test_an_error_that_is_told_does_not_collect_where_it_was_raised():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 2)
    await turn()
    try:
        raise PromptTooLongError
    except APIError as error:
        lead.fail(error)
    told = await asyncio.gather(*waiting, return_exceptions=True)

    for each in told:
        frames = traceback.extract_tb(each.__traceback__)
        assert [frame.name for frame in frames] == ["join"]


async def test_only_the_first_landing_counts():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 2)
    await turn()
    lead.land("answer")
    lead.land("other")
    lead.fail()
    second = await flights.join("k", LONG)
    lead.fail()
    lead.land("other")
    late = followers(flights, 1)
    await turn()
    assert not late[0].done()
    second.land("second")

    assert await asyncio.gather(*waiting, *late) == ["answer", "answer", "second"]


async def test_who_has_waited_long_enough_asks_without_the_others():
    flights = Flights()
    lead = await flights.join("k", LONG)
    patient = followers(flights, 1)

    assert await flights.join("k", 0.01) is None

    lead.land("answer")
    assert await patient[0] == "answer"


async def test_who_hangs_up_while_waiting_changes_nothing_for_others():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 3)
    await turn()
    waiting[0].cancel()
    await turn()
    lead.fail()
    await turn()

    assert waiting[0].cancelled()
    assert len(leads(waiting)) == 1


async def test_a_lead_that_comes_at_the_moment_of_hanging_up_is_passed_on():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 2)
    await turn()
    lead.fail()
    waiting[0].cancel()
    await turn()

    assert waiting[0].cancelled()
    assert isinstance(await waiting[1], Lead)


async def test_who_has_just_hung_up_gets_no_lead():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 2)
    await turn()
    waiting[0].cancel()
    lead.fail()

    assert isinstance(await waiting[1], Lead)


async def test_nobody_is_kept_in_mind_when_all_are_gone():
    flights = Flights()
    lead = await flights.join("k", LONG)
    waiting = followers(flights, 2)
    await turn()
    for task in waiting:
        task.cancel()
    await turn()
    lead.fail()

    assert isinstance(await flights.join("k", 0.01), Lead)

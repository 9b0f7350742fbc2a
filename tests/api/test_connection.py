import asyncio

import pytest

from llm_proxy.api.connection import ClientDisconnectedError, Connected
from llm_proxy.drain import Drain


def reporting(*types):
    """A channel that reports these messages and then stays silent."""
    messages = iter(types)

    async def receive():
        for type in messages:
            return {"type": type}
        return await asyncio.Event().wait()

    return receive


async def test_work_for_a_caller_who_stays_is_done():
    async with Connected(reporting("http.request"), Drain()):
        await asyncio.sleep(0.01)


async def test_work_for_a_caller_who_leaves_is_cancelled():
    async def work():
        async with Connected(reporting("http.request", "http.disconnect"), Drain()):
            await asyncio.Event().wait()

    with pytest.raises(ClientDisconnectedError):
        await work()
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("types", [(), ("http.disconnect",)], ids=["stays", "leaves"])
async def test_a_cancellation_by_others_stays_one(types):
    working = asyncio.Event()

    async def work():
        async with Connected(reporting(*types), Drain()):
            # A caller who leaves is noticed before the other one cancels.
            working.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await working.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_stays_one():
    async def work():
        async with Connected(reporting("http.disconnect"), Drain()):
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("no use")

    with pytest.raises(ValueError, match="no use"):
        await asyncio.create_task(work())


async def test_nobody_watches_after_the_work():
    watched = asyncio.Event()

    async def receive():
        try:
            await asyncio.Event().wait()
        finally:
            watched.set()

    async with Connected(receive, Drain()):
        await asyncio.sleep(0)
    await asyncio.wait_for(watched.wait(), 10)

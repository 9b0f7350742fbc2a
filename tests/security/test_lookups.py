import asyncio
from contextlib import suppress

import pytest

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.security.lookups import Lookups


class Loading:
    """Knows the length of every name that is not empty, once it may answer."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, names) -> dict[str, int]:
        self.groups.append([*names])
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {name: len(name) for name in names if name}


@pytest.fixture
def loading() -> Loading:
    return Loading()


@pytest.fixture
def lookups(loading) -> Lookups[int]:
    return Lookups(loading)


async def ask(lookups, *names: str) -> list[asyncio.Task]:
    """Asks for names; all of them wait afterwards."""
    tasks = [asyncio.ensure_future(lookups.find(name)) for name in names]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_names_are_found_or_not(loading, lookups):
    loading.may_answer.set()

    assert await lookups.find("abc") == 3
    assert await lookups.find("") is None
    assert await lookups.find("abc") == 3
    assert loading.groups == [["abc"], [""], ["abc"]]


async def test_crowd_asks_once(loading, lookups):
    tasks = await ask(lookups, *["a"] * 100)
    loading.may_answer.set()

    assert await asyncio.gather(*tasks) == [1] * 100
    assert loading.groups == [["a"]]


async def test_questions_gather_while_a_query_is_under_way(loading, lookups):
    tasks = await ask(lookups, "a")
    tasks += await ask(lookups, "bb", "ccc", "a", "bb")
    loading.may_answer.set()

    assert await asyncio.gather(*tasks) == [1, 2, 3, 1, 2]
    assert loading.groups == [["a"], ["bb", "ccc"]]


async def test_flood_is_bounded(loading, lookups):
    tasks = await ask(lookups, *(f"{number:05}" for number in range(10_000)))
    with pytest.raises(StorageUnavailableError):
        await lookups.find("one more")
    joined = await ask(lookups, "00000")
    loading.may_answer.set()

    assert set(await asyncio.gather(*tasks, *joined)) == {5}
    assert max(map(len, loading.groups)) == 500
    assert await lookups.find("one more") == 8


async def test_error_reaches_all_who_wait_and_nobody_else(loading, lookups):
    loading.error = StorageUnavailableError(log_detail="taken away")
    tasks = await ask(lookups, "a", "a", "b")
    loading.may_answer.set()

    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results == [loading.error] * 3
    loading.error = None
    assert await lookups.find("a") == 1


async def test_who_gives_up_does_not_take_others_along(loading, lookups):
    first, second = await ask(lookups, "a", "a")
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    loading.may_answer.set()

    assert await second == 1


async def test_error_that_nobody_waits_for_is_no_complaint(loading, lookups, caplog):
    (only,) = await ask(lookups, "a")
    only.cancel()
    loading.error = StorageUnavailableError()
    loading.may_answer.set()
    with suppress(asyncio.CancelledError):
        await only
    await asyncio.sleep(0.01)

    assert caplog.records == []


async def test_who_waits_at_the_end_is_told(loading, lookups):
    tasks = await ask(lookups, "a")
    tasks += await ask(lookups, "b")

    await lookups.aclose()

    for each in tasks:
        with pytest.raises(StorageUnavailableError):
            await each

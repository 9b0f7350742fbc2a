"""Many callers, few transactions."""

import asyncio

import pytest
from structlog.testing import capture_logs

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency.groups import Groups


class Work:
    """Doubles numbers, a group at a time, when a test lets it.

    Attributes:
        groups: What has been begun.
        lets: Groups wait until it is set.
        error: What groups end with.
        unheard: Numbers whose callers have not heard of them.
    """

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.lets = asyncio.Event()
        self.error: Exception | None = None
        self.unheard: list[int] = []

    async def __call__(self, items) -> list[int]:
        self.groups.append(items)
        await self.lets.wait()
        if self.error is not None:
            raise self.error
        return [2 * item for item in items]


@pytest.fixture
def work() -> Work:
    return Work()


def groups_of(work, *, places=1, most=100, **options) -> Groups[int, int]:
    return Groups(
        work, places=places, most=most, unheard=work.unheard.append, **options
    )


async def asked(groups, *items) -> list[asyncio.Task[int]]:
    """Asks for each, one after the other, and lets groups begin."""
    tasks = [asyncio.create_task(groups.ask(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_group_is_under_way_is_the_next_one(work):
    groups = groups_of(work)
    first = await asked(groups, 1)
    rest = await asked(groups, 2, 3, 4)
    assert work.groups == [[1]]

    work.lets.set()

    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8]
    assert work.groups == [[1], [2, 3, 4]]
    assert await groups.ask(5) == 10


async def test_groups_are_as_many_at_a_time_as_there_are_places(work):
    groups = groups_of(work, places=2)
    tasks = [task for item in range(5) for task in await asked(groups, item)]
    assert work.groups == [[0], [1]]

    work.lets.set()
    await asyncio.gather(*tasks)

    assert sorted(item for group in work.groups for item in group) == [*range(5)]


async def test_groups_are_bounded_by_what_is_in_them(work):
    groups = groups_of(work, most=10, weigh=lambda item: item)
    work.lets.set()

    await asyncio.gather(*await asked(groups, 4, 5, 3, 50, 1, 9, 1))

    assert work.groups == [[4, 5, 3], [50], [1, 9], [1]]


async def test_who_leaves_before_his_group_begins_is_left_out(work):
    groups = groups_of(work)
    first = await asked(groups, 1)
    second, third = await asked(groups, 2, 3)

    second.cancel()
    await asyncio.wait([second])
    work.lets.set()

    assert await asyncio.gather(*first, third) == [2, 6]
    assert (work.groups, work.unheard) == ([[1], [3]], [])


async def test_who_leaves_later_spoils_nothing_and_has_not_heard(work):
    groups = groups_of(work)
    first, second = await asked(groups, 1, 2)

    first.cancel()
    await asyncio.wait([first])
    assert work.unheard == []
    work.lets.set()

    assert await second == 4
    assert (work.groups, work.unheard) == ([[1, 2]], [1])


async def test_who_leaves_at_the_end_of_his_group_has_not_heard(work):
    work.lets.set()
    groups = groups_of(work)
    task = asyncio.create_task(groups.ask(1))
    # The result is there before its caller is awake.
    while not work.groups:  # noqa: ASYNC110 - a moment that nothing else tells
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert work.unheard == [1]


@pytest.mark.parametrize(
    ("error", "detail", "events"),
    [
        (StorageUnavailableError(log_detail="away"), "away", []),
        (KeyError("a secret"), "KeyError", ["idempotency_failed"]),
    ],
)
async def test_a_group_that_fails_is_told_to_all_and_stops_nobody(
    work, error, detail, events
):
    groups = groups_of(work)
    work.error = error
    work.lets.set()

    with capture_logs() as lines:
        found = await asyncio.gather(*await asked(groups, 1, 2), return_exceptions=True)
    work.error = None

    assert [each.log_detail for each in found] == [detail] * 2
    assert [line["event"] for line in lines] == events
    assert "secret" not in str(lines)
    assert work.unheard == [1, 2]
    assert await groups.ask(3) == 6


async def test_closing_waits_a_moment(work, monkeypatch):
    monkeypatch.setattr("llm_proxy.idempotency.groups._CLOSE_SECONDS", 0.05)
    groups = groups_of(work)
    await groups.aclose()
    (task,) = await asked(groups, 1)
    closing = asyncio.create_task(groups.aclose())
    work.lets.set()
    await closing
    assert await task == 2

    work.lets.clear()
    (task,) = await asked(groups, 2)
    await groups.aclose()
    assert not task.done()
    task.cancel()

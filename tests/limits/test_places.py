import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.errors import OverloadedError
from llm_proxy.limits import Places


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Callers who come, leave and give up, and what must become of them."""

    def __init__(self, most, most_waiting):
        self.places = Places(most, most_waiting, seconds=60)
        self.most, self.most_waiting = most, most_waiting
        self.running = 0
        self.waiting = deque()

    async def come(self, _):
        caller = asyncio.create_task(self.places.take())
        await settle()
        if self.running < self.most:
            assert caller.done()
            caller.result()
            self.running += 1
        elif len(self.waiting) < self.most_waiting:
            self.waiting.append(caller)
        else:
            assert isinstance(caller.exception(), OverloadedError)

    async def leave(self, _):
        if self.running:
            self.places.give_back()
            await settle()
            self._hand_on()

    async def give_up(self, number):
        if self.waiting:
            caller = self.waiting[number % len(self.waiting)]
            self.waiting.remove(caller)
            caller.cancel()
            await settle()
            assert caller.cancelled()

    async def give_up_when_it_comes(self, _):
        if self.running and self.waiting:
            caller = self.waiting.popleft()
            self.places.give_back()
            caller.cancel()
            await settle()
            assert caller.cancelled()
            self._hand_on()

    def _hand_on(self):
        if self.waiting:
            self.waiting.popleft().result()
        else:
            self.running -= 1

    def check(self):
        assert self.places.taken == self.running <= self.most
        assert not any(caller.done() for caller in self.waiting)
        if self.running == self.most and len(self.waiting) == self.most_waiting:
            with pytest.raises(OverloadedError):
                self.places.check()
        else:
            self.places.check()


MOVES = (
    Crowd.come,
    Crowd.come,
    Crowd.leave,
    Crowd.give_up,
    Crowd.give_up_when_it_comes,
)


@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 9)), max_size=40),
)
def test_first_come_first_served_and_no_place_is_lost(most, most_waiting, moves):
    async def play():
        crowd = Crowd(most, most_waiting)
        for move, number in moves:
            await move(crowd, number)
            crowd.check()
        while crowd.running:
            await crowd.leave(0)
            crowd.check()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("seconds", "at_most"), [(0.01, 60), (60, 0.01)], ids=["usual", "of this call"]
)
async def test_nobody_waits_for_longer_than_allowed(seconds, at_most):
    places = Places(1, 1, seconds)
    await places.take()
    async with asyncio.timeout(10):
        with pytest.raises(OverloadedError) as caught:
            await places.take(at_most)
    assert caught.value.retry_after_seconds == 1

    places.give_back()
    await places.take()
    assert places.taken == 1


async def test_who_finds_the_queue_full_is_told_at_once():
    places = Places(1, 0, seconds=60)
    await places.take()
    refused = asyncio.create_task(places.take())
    await settle()
    assert isinstance(refused.exception(), OverloadedError)
    assert refused.exception().retry_after_seconds == 1

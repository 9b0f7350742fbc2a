from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.strategies import MovingWindowRateLimiter

from llm_proxy.limits.window import WindowStorage


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def limiter():
    clock = Clock()
    storage = WindowStorage(clock=clock)
    return MovingWindowRateLimiter(storage), storage, clock


def test_a_window_moves_with_time():
    strategy, _, clock = limiter()
    item = RateLimitItemPerMinute(2)
    assert strategy.hit(item, "a")
    clock.now += 59
    assert strategy.hit(item, "a")
    assert not strategy.hit(item, "a")
    assert strategy.get_window_stats(item, "a") == (1_000_060.0, 0)
    clock.now += 2
    assert strategy.hit(item, "a")
    assert not strategy.hit(item, "a")


def test_clients_do_not_share_a_window():
    strategy, _, _ = limiter()
    item = RateLimitItemPerMinute(1)
    assert strategy.hit(item, "a")
    assert strategy.hit(item, "b")
    assert not strategy.hit(item, "a")


def test_looking_does_not_count():
    strategy, _, _ = limiter()
    item = RateLimitItemPerMinute(1)
    for _ in range(3):
        assert strategy.test(item, "a")
    assert strategy.hit(item, "a")
    assert not strategy.test(item, "a")


def test_idle_clients_are_forgotten():
    strategy, storage, clock = limiter()
    item = RateLimitItemPerMinute(5)
    for number in range(100):
        strategy.hit(item, str(number))
    clock.now += 61
    for _ in range(50):
        strategy.hit(item, "busy")
        clock.now += 0.1
    assert storage.reset() == 1


def test_the_rest_of_the_storage_interface():
    _, storage, clock = limiter()
    assert (storage.get("a"), storage.get_expiry("a")) == (0, clock.now)
    assert storage.incr("a", 60, 2) == 2
    assert (storage.get("a"), storage.get_expiry("a")) == (2, clock.now + 60)
    storage.clear("a")
    assert storage.get("a") == 0
    assert storage.check()
    assert storage.base_exceptions == ()


@given(st.lists(st.floats(0, 40), max_size=40), st.integers(1, 5))
def test_no_minute_ever_has_more_hits_than_allowed(waits, limit):
    strategy, _, clock = limiter()
    item = RateLimitItemPerMinute(limit)
    admitted = []
    for wait in waits:
        clock.now += wait
        if strategy.hit(item, "a"):
            admitted.append(clock.now)
    for time in admitted:
        assert sum(time <= other < time + 60 for other in admitted) <= limit

import asyncio
from contextlib import suppress

import pytest

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker("cellar", clock)


def fail(breaker) -> str:
    """Makes a call that fails; returns why."""
    with pytest.raises(StorageUnavailableError) as caught, breaker.attempt():
        raise StorageUnavailableError(log_detail="it is dark")
    return caught.value.log_detail


def succeed(breaker) -> None:
    with breaker.attempt():
        pass


def open_it(breaker) -> None:
    for _ in range(3):
        assert fail(breaker) == "it is dark"


def test_three_failures_in_a_row_open_it(breaker):
    open_it(breaker)

    assert breaker.is_refusing
    assert fail(breaker) == "cellar is away"


def test_success_in_between_begins_a_new_row(breaker):
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)

    assert not breaker.is_refusing


def test_another_exception_is_an_answer(breaker):
    fail(breaker)
    fail(breaker)
    with pytest.raises(KeyError), breaker.attempt():
        raise KeyError
    fail(breaker)

    assert not breaker.is_refusing


def test_pauses_grow_up_to_five_seconds(breaker, clock):
    open_it(breaker)

    for seconds in (1, 2, 4, 5, 5):
        clock.seconds += seconds - 0.1
        assert fail(breaker) == "cellar is away"
        clock.seconds += 0.2
        assert fail(breaker) == "it is dark"


def test_success_after_the_pause_lets_all_through(breaker, clock):
    open_it(breaker)
    clock.seconds += 1

    succeed(breaker)

    assert not breaker.is_refusing
    assert fail(breaker) == "it is dark"
    assert not breaker.is_refusing


def test_next_time_it_begins_with_a_short_pause(breaker, clock):
    open_it(breaker)
    clock.seconds += 1
    fail(breaker)
    clock.seconds += 2
    succeed(breaker)

    open_it(breaker)
    clock.seconds += 1

    succeed(breaker)


def test_one_tries_while_others_are_refused(breaker, clock):
    open_it(breaker)
    clock.seconds += 1

    with breaker.attempt():
        assert fail(breaker) == "cellar is away"

    succeed(breaker)


def test_cancelled_trial_leaves_the_place_to_the_next(breaker, clock):
    open_it(breaker)
    clock.seconds += 1

    with pytest.raises(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError

    assert fail(breaker) == "it is dark"
    assert breaker.is_refusing


def test_calls_from_before_neither_prolong_the_pause_nor_are_trials(breaker, clock):
    with suppress(StorageUnavailableError), breaker.attempt():
        open_it(breaker)
        clock.seconds += 1
        raise StorageUnavailableError

    succeed(breaker)
    assert not breaker.is_refusing


def test_log_says_once_that_it_is_away_and_once_that_it_is_back(breaker, clock, capsys):
    open_it(breaker)
    fail(breaker)
    clock.seconds += 1
    fail(breaker)
    clock.seconds += 2
    succeed(breaker)
    succeed(breaker)

    lines = capsys.readouterr().out
    assert lines.count("cellar_away") == 1
    assert lines.count("it is dark") == 1
    assert lines.count("cellar_back") == 1

from tests.limits.claiming import Clock

from llm_proxy.limits.redis_clock import RedisClock


def test_before_the_first_answer_it_is_too_late():
    assert RedisClock(Clock()).deadline(0.2) < 1_700_000_000_000_000


def test_deadline_is_no_earlier_than_it_may_be():
    ours = Clock()
    clock = RedisClock(ours)
    asked_at = clock.now()
    # Redis has answered somewhere in between.
    ours.now += 0.5
    clock.learn(asked_at, 1_800_000_000_250_000)

    assert clock.deadline(0.2) == 1_800_000_000_250_000 + 500_000 + 200_000


def test_clock_of_redis_may_be_moved():
    clock = RedisClock(Clock())
    for micros in (1_800_000_000_000_000, 1_700_000_000_000_000):
        clock.learn(clock.now(), micros)

        assert clock.deadline(1.0) == micros + 1_000_000

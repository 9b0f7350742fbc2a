import random
from collections import Counter

import pytest

from llm_proxy.routing import Deployment, Health, Target
from llm_proxy.routing.choice import choose, choose_for

A, B, C = (Target("openai", name) for name in "abc")
MANY = 3000


@pytest.fixture(autouse=True)
def seeded():
    random.seed(7)


@pytest.fixture
def health(clock):
    return Health(failures=5, cooldown_seconds=30, clock=clock)


@pytest.fixture
def answers(health, clock):
    """Lets a deployment answer after so many seconds."""

    def answers(target: Target, seconds: float) -> None:
        attempt = health.begin(target)
        clock.now += seconds
        attempt.answering()
        attempt.end()

    return answers


def tier(*rows: Target | tuple[Target, int]) -> tuple[Deployment, ...]:
    return tuple(
        Deployment(row) if isinstance(row, Target) else Deployment(*row) for row in rows
    )


def shares(deployments, health) -> Counter[Target]:
    return Counter(choose(deployments, health).target for _ in range(MANY))


class TestPowerOfTwo:
    @pytest.mark.parametrize("latency", [None, 1.0])
    def test_weights_hold_among_equals(self, health, answers, latency):
        if latency is not None:
            for target in (A, B, C):
                answers(target, latency)
        found = shares(tier((A, 6), (B, 3), C), health)
        assert found[A] == pytest.approx(MANY * 0.6, rel=0.1)
        assert found[B] == pytest.approx(MANY * 0.3, rel=0.15)
        assert found[C] == pytest.approx(MANY * 0.1, rel=0.25)

    def test_small_differences_do_not_overrule_them(self, health, answers):
        answers(A, 1.0)
        answers(B, 0.8)
        assert shares(tier((A, 3), B), health)[A] == pytest.approx(MANY * 0.75, rel=0.1)

    def test_the_slower_of_two_is_avoided(self, health, answers):
        answers(A, 1.0)
        answers(B, 0.5)
        # It is drawn twice in a quarter of all cases, and still asked then.
        assert shares(tier(A, B), health)[A] == pytest.approx(MANY / 4, rel=0.15)

    def test_the_busier_of_two_is_avoided(self, health):
        for _ in range(2):
            health.begin(A)
        assert shares(tier(A, B), health)[A] == pytest.approx(MANY / 4, rel=0.15)

    def test_who_weighs_more_may_be_busier(self, health):
        for _ in range(4):
            health.begin(A)
        health.begin(B)
        assert shares(tier((A, 4), B), health)[A] == pytest.approx(MANY * 0.8, rel=0.1)

    @pytest.mark.parametrize("seconds", [0.001, 50.0])
    def test_who_is_not_known_is_tried(self, health, answers, seconds):
        answers(A, seconds)
        assert shares(tier(A, B), health)[B] == pytest.approx(MANY / 2, rel=0.1)

    def test_so_is_who_was_slow_long_ago(self, health, answers, clock):
        answers(A, 5.0)
        clock.now += 61
        answers(B, 1.0)
        assert shares(tier(A, B), health)[A] == pytest.approx(MANY / 2, rel=0.1)

    def test_one_needs_no_choice(self, health):
        assert choose(tier(A), health).target == A


class TestRendezvous:
    def sessions(self, deployments, count=MANY):
        return [
            choose_for(number.to_bytes(16), deployments).target
            for number in range(count)
        ]

    def test_the_same_session_leads_to_the_same_deployment_in_any_order(self):
        assert self.sessions(tier(A, (B, 2), C)) == self.sessions(tier(C, A, (B, 2)))

    def test_weights_hold_over_many_sessions(self):
        found = Counter(self.sessions(tier((A, 6), (B, 3), C)))
        assert found[A] == pytest.approx(MANY * 0.6, rel=0.1)
        assert found[B] == pytest.approx(MANY * 0.3, rel=0.15)
        assert found[C] == pytest.approx(MANY * 0.1, rel=0.25)

    def test_one_that_goes_moves_only_its_own_sessions(self):
        before, after = self.sessions(tier(A, B, C)), self.sessions(tier(A, C))
        pairs = [*zip(before, after, strict=True)]
        assert all(old == new for old, new in pairs if old != B)
        moved = Counter(new for old, new in pairs if old == B)
        assert moved[A] == pytest.approx(moved[C], rel=0.25)

    def test_more_weight_only_draws_sessions(self):
        before, after = self.sessions(tier(A, B)), self.sessions(tier(A, (B, 3)))
        pairs = [*zip(before, after, strict=True)]
        assert all(new == B for old, new in pairs if old != new)

    def test_one_needs_no_choice(self):
        assert choose_for(b"x" * 16, tier(A)).target == A

"""Counters in memory: exact, all or nothing, and no larger than they have to be."""

import asyncio
import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.limits.claiming import TEAM, Clock, concurrent, money, requests, tokens

from llm_proxy.limits import LocalCounters
from llm_proxy.limits.claim import Claim
from llm_proxy.types import Subject

leases = map(str, itertools.count())


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counters(clock):
    return LocalCounters(clock)


async def take(counters, *claims, spent=None):
    """Reserves; returns the lease if it was granted, and the standings."""
    lease = next(leases)
    start = {claim.counter: 0 for claim in claims if claim.kind == "money"}
    verdict = await counters.reserve(lease, claims, start if spent is None else spent)
    granted = all(standing.granted for standing in verdict.standings)
    return (lease if granted else None), verdict.standings


async def remaining(counters, claim):
    """What is left, as a claim that never fits sees it."""
    probe = Claim(claim.subject, claim.kind, claim.limit, 2**62, claim.period)
    _, (standing,) = await take(counters, probe)
    return standing.remaining


@pytest.mark.parametrize(
    "claim", [requests(3), tokens(30, 10), concurrent(3), money(30, 10)]
)
async def test_a_limit_lets_through_what_fits(counters, claim):
    found = [await take(counters, claim) for _ in range(4)]

    assert [standing.granted for _, (standing,) in found] == [True, True, True, False]
    unit = claim.amount
    assert [it.remaining for _, (it,) in found] == [2 * unit, unit, 0, 0]
    assert found[0][1][0].claim is claim


@pytest.mark.parametrize(
    ("claim", "most"),
    [(requests(20), 20), (tokens(205, 10), 20), (concurrent(7), 7), (money(20, 1), 20)],
)
async def test_a_burst_gets_exactly_what_there_is(counters, claim, most):
    found = await asyncio.gather(*(take(counters, claim) for _ in range(200)))

    assert sum(lease is not None for lease, _ in found) == most


async def test_it_is_all_or_nothing(counters):
    claims = requests(5), tokens(100, 60), concurrent(5), money(100, 10)
    await take(counters, *claims)
    lease, standings = await take(counters, *claims)

    assert lease is None
    assert [standing.granted for standing in standings] == [True, False, True, True]
    assert [standing.remaining for standing in standings] == [4, 40, 4, 90]
    assert [await remaining(counters, claim) for claim in claims] == [4, 40, 4, 90]


@pytest.mark.parametrize("claim", [requests(2), tokens(2, 1)])
async def test_a_minute_moves(counters, clock, claim):
    await take(counters, claim)
    clock.now += 40
    _, (second,) = await take(counters, claim)
    assert second.reset_seconds == 20
    clock.now += 19.9
    _, (refused,) = await take(counters, claim)
    assert not refused.granted
    assert refused.reset_seconds == pytest.approx(0.1)
    clock.now += 0.1
    lease, (third,) = await take(counters, claim)
    assert lease is not None
    assert third.reset_seconds == 40


@pytest.mark.parametrize(
    ("claim", "left"),
    [
        (requests(9), 8),
        (tokens(100, 60), 93),
        (concurrent(9), 9),
        (money(100, 60), 89),
    ],
)
async def test_the_truth_takes_the_place_of_what_was_set_aside(counters, claim, left):
    lease, _ = await take(counters, claim)
    for _ in range(2):
        counters.settle(lease, [claim], tokens=7, nanos=11)

    assert await remaining(counters, claim) == left


async def test_more_than_was_set_aside_is_a_debt(counters, clock):
    claims = tokens(100, 60), money(100, 60)
    lease, _ = await take(counters, *claims)
    counters.settle(lease, claims, tokens=150, nanos=150)

    assert [await remaining(counters, claim) for claim in claims] == [0, 0]
    _, standings = await take(counters, tokens(100, 0), money(100, 0))
    assert [standing.granted for standing in standings] == [False, False]
    clock.now += 60
    assert await remaining(counters, claims[0]) == 100


async def test_tokens_of_an_earlier_minute_change_nothing(counters, clock):
    claim = tokens(100, 60)
    lease, _ = await take(counters, claim)
    clock.now += 61
    assert await remaining(counters, claim) == 100
    counters.settle(lease, [claim], tokens=99, nanos=0)
    assert await remaining(counters, claim) == 100


async def test_whom_nobody_knows_settles_nothing(counters):
    claim = money(100, 60)
    await take(counters, claim)
    counters.settle("unheard of", [claim], tokens=0, nanos=0)

    assert await remaining(counters, claim) == 40


async def test_money_starts_where_the_ledger_is(counters):
    day, month = money(100, 10, "2026-11-21"), money(500, 10, "2026-11")
    verdict = await counters.reserve("a", [requests(1), day, month], {})
    assert verdict.unknown == (day.counter, month.counter)
    assert verdict.standings == ()

    start = {day.counter: 75, month.counter: 75}
    lease, standings = await take(counters, requests(1), day, month, spent=start)
    assert lease is not None
    assert [standing.remaining for standing in standings] == [0, 15, 415]
    # What others are told later is no news.
    assert await remaining(counters, day) == 15


async def test_subjects_and_periods_are_counted_apart(counters):
    claims = [
        Claim(Subject(kind, name, organisation), "money", 10, 1, period)
        for kind in ("user", "team")
        for name, organisation in (("red", "acme"), ("red", "b"), ("acme/red", ""))
        for period in ("2026-11-21", "2026-11", "total")
    ]
    await take(counters, *claims)

    assert [await remaining(counters, claim) for claim in claims] == [9] * len(claims)
    assert len({claim.counter for claim in claims}) == len(claims)


async def test_idle_counters_are_forgotten(counters, clock):
    async def visit(number):
        subject = Subject("key", str(number))
        claim = Claim(subject, "money", 10, 1, "total")
        claims = requests(10, subject), tokens(10, 1, subject), claim
        lease, _ = await take(counters, *claims, concurrent(10, subject))
        counters.settle(lease, claims, 1, 1)

    await visit("busy")
    tracemalloc.start()
    for number in range(200):
        await visit(number)
    full = tracemalloc.get_traced_memory()[0]
    clock.now += 3601
    for _ in range(200):
        await visit("busy")
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert left < full / 2
    # The ledger has to be asked again.
    gone, kept = (
        Claim(Subject("key", name), "money", 10, 1, "total") for name in ("7", "busy")
    )
    verdict = await counters.reserve("a", [gone, kept], {})
    assert verdict.unknown == (gone.counter,)


async def test_what_is_under_way_is_not_forgotten(counters, clock):
    claims = money(100, 60), concurrent(2)
    lease, _ = await take(counters, *claims)
    clock.now += 10_000
    for number in range(10):
        subject = Subject("key", str(number))
        await take(counters, concurrent(1, subject), money(10, 1, str(number)))

    assert [await remaining(counters, claim) for claim in claims] == [40, 1]
    counters.settle(lease, claims, 0, 5)
    assert [await remaining(counters, claim) for claim in claims] == [95, 2]


class Model:
    """The same, by going through all that has ever happened."""

    def __init__(self) -> None:
        self.calls = {}

    def used(self, claim: Claim, now: float) -> int:
        return sum(
            amounts[claim.kind]
            for at, amounts in self.calls.values()
            if claim.kind in ("concurrent", "money") or at > now - 60
        )

    def take(self, lease: str, claims: tuple[Claim, ...], now: float) -> list[bool]:
        granted = [it.amount <= it.limit - self.used(it, now) for it in claims]
        if all(granted):
            self.calls[lease] = now, {it.kind: it.amount for it in claims}
        return granted

    def settle(self, lease: str, spent_tokens: int, nanos: int) -> None:
        amounts = self.calls[lease][1]
        amounts |= {"tokens": spent_tokens, "concurrent": 0, "money": nanos}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 40), st.integers(0, 40)),
        st.tuples(st.just("settle"), st.integers(0, 60), st.integers(0, 60)),
        st.tuples(st.just("wait"), st.integers(0, 45), st.just(0)),
    ),
    max_size=60,
)


@given(steps, st.randoms(use_true_random=False))
def test_no_history_lets_through_more_than_the_model(history, random):
    asyncio.run(replay(history, random))


async def replay(history, random):
    clock = Clock()
    counters, model, under_way = LocalCounters(clock), Model(), []
    for step, first, second in history:
        claims = requests(4), tokens(100, first), concurrent(3), money(200, second)
        if step == "wait":
            clock.now += first
        elif step == "take":
            lease, standings = await take(counters, *claims)
            name = lease or "refused"
            granted = model.take(name, claims, clock.now)
            assert [standing.granted for standing in standings] == granted
            if lease is not None:
                under_way.append((lease, claims))
        elif under_way:
            lease, claims = random.choice(under_way)
            under_way.remove((lease, claims))
            for _ in range(2):
                counters.settle(lease, claims, first, second)
            model.settle(lease, first, second)
        for claim in claims:
            left = max(0, claim.limit - model.used(claim, clock.now))
            assert await remaining(counters, claim) == left
    for lease, claims in under_way:
        counters.settle(lease, claims, 0, 0)
        model.settle(lease, 0, 0)
    spent = sum(amounts["money"] for _, amounts in model.calls.values())
    assert await remaining(counters, money(10_000, 0)) == 10_000 - spent
    assert await remaining(counters, concurrent(3, TEAM)) == 3

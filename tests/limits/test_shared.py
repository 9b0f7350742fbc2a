import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from tests.limits.aging import let_pass
from tests.limits.sharing import (
    KEY,
    is_granted,
    left,
    money,
    place,
    requests,
    reserve,
    tokens,
    until,
    until_left,
)

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.claim import Claim, Kind, Verdict
from llm_proxy.limits.scripts import Owner, load, renewal, reservation
from llm_proxy.storage.redis import Redis
from llm_proxy.types import Subject

pytestmark = pytest.mark.integration


@pytest.fixture
def age(operator) -> Callable[[int], None]:
    """Lets seconds pass."""
    return partial(let_pass, operator)


async def test_each_limit_says_what_is_left(counters):
    claims = (requests(10), tokens(1000, 300), place(5), money(50, 20))

    first = await reserve(counters, *claims, spent=7)
    second = await reserve(counters, *claims, spent=7)

    assert [each.claim for each in first.standings] == list(claims)
    assert [each.remaining for each in first.standings] == [9, 700, 4, 23]
    assert [each.remaining for each in second.standings] == [8, 400, 3, 3]
    assert all(each.granted for each in (*first.standings, *second.standings))


async def test_nothing_is_taken_unless_all_is_granted(counters):
    claims = (requests(10), tokens(1000, 300), place(5), money(50, 20))
    await reserve(counters, *claims)

    verdict = await reserve(counters, *claims[:3], money(50, 31))

    assert [each.granted for each in verdict.standings] == [True, True, True, False]
    assert [each.remaining for each in verdict.standings] == [9, 700, 4, 30]
    assert await left(counters, *claims) == [8, 400, 3, 10]


@pytest.mark.parametrize("kind", ["requests", "tokens", "concurrent", "money"])
async def test_burst_gets_exactly_what_there_is(process, kind: Kind):
    period = "total" if kind == "money" else ""
    claim = Claim(KEY, kind, 20, 1, period)
    processes = [process() for _ in range(4)]

    granted = await asyncio.gather(
        *(is_granted(processes[number % 4], claim) for number in range(200))
    )

    assert sum(granted) == 20


async def test_window_slides(counters, age):
    assert await left(counters, requests(3)) == [2]
    age(20)
    assert await left(counters, requests(3)) == [1]
    age(20)
    assert await left(counters, requests(3)) == [0]

    (refused,) = (await reserve(counters, requests(3))).standings
    assert not refused.granted
    assert 0 < refused.reset_seconds <= 20
    age(19)
    assert not await is_granted(counters, requests(3))
    age(1)
    assert await is_granted(counters, requests(3))
    assert not await is_granted(counters, requests(3))
    age(20)
    assert await is_granted(counters, requests(3))


async def test_many_leave_the_window_at_once(counters, age):
    for number in range(450):
        assert await left(counters, requests(500)) == [499 - number]
    age(30)
    assert await left(counters, requests(500)) == [49]
    age(30)

    assert await left(counters, requests(500)) == [498]


async def test_tokens_that_were_not_used_are_free(counters):
    claims = (requests(9), tokens(1000, 900))
    await reserve(counters, *claims, lease="a")

    counters.settle("a", claims, tokens=100, nanos=0)

    await until_left(counters, tokens(1000, 0), 900)
    assert await left(counters, *claims) == [7, 0]


async def test_tokens_beyond_the_reservation_are_owed(counters, age):
    await reserve(counters, tokens(1000, 100), lease="a")
    age(30)

    counters.settle("a", (tokens(1000, 100),), tokens=1500, nanos=0)

    await until_left(counters, tokens(1600, 0), 100)
    assert not await is_granted(counters, tokens(1000, 1))
    age(30)
    assert await left(counters, tokens(1000, 1)) == [999]


async def test_settled_tokens_leave_the_window_as_they_are(counters, age):
    await reserve(counters, tokens(1000, 300), lease="a")
    age(30)
    counters.settle("a", (tokens(1000, 300),), tokens=100, nanos=0)
    await until_left(counters, tokens(1000, 0), 900)
    await reserve(counters, tokens(1000, 10))

    age(30)

    assert await left(counters, tokens(1000, 10)) == [980]


async def test_call_that_outlives_the_window_changes_nothing_in_it(counters, age):
    await reserve(counters, tokens(1000, 100), lease="a")
    age(60)
    await reserve(counters, tokens(1000, 10))

    counters.settle("a", (tokens(1000, 100),), tokens=500, nanos=0)
    await reserve(counters, place(1), lease="b")
    counters.settle("b", (place(1),), tokens=0, nanos=0)
    await until_left(counters, place(1), 1)

    assert await left(counters, tokens(1000, 10)) == [980]


async def test_settling_again_changes_nothing(counters):
    claims = (tokens(1000, 300), place(5), money(50, 20))
    await reserve(counters, *claims, lease="a")

    counters.settle("a", claims, tokens=100, nanos=5)
    counters.settle("a", claims, tokens=0, nanos=0)
    await until_left(counters, money(50, 0), 45)
    counters.settle("a", claims, tokens=0, nanos=0)
    await counters.aclose()

    assert await left(counters, *claims) == [600, 4, 25]


async def test_counter_of_money_is_unknown_until_somebody_tells(counters, age):
    claims = (requests(10), money(50, 20), money(500, 20, "2026-11"))
    month = claims[2].counter

    first = await counters.reserve("a", claims, {})
    second = await counters.reserve("a", claims, {claims[1].counter: 3})
    age(3600)
    third = await counters.reserve("a", claims, {claims[1].counter: 4, month: 5})

    assert first == Verdict(unknown=(claims[1].counter, month))
    assert second == Verdict(unknown=(month,))
    assert [each.remaining for each in third.standings] == [9, 27, 475]


async def test_each_subject_and_period_counts_for_itself(counters):
    subjects = [
        KEY,
        Subject("user", "k1"),
        Subject("user", "k1", "acme"),
        Subject("user", "acme/k1"),
        Subject("user", "}:limits:\0\r\n\ud800 ü"),
        Subject("model", "m" * 100_000),
    ]

    for subject in subjects:
        assert await left(counters, requests(5, subject)) == [4]
    for period in ("2026-11-21", "2026-11-22", "2026-11", "total"):
        assert await left(counters, money(5, 1, period)) == [4]


async def test_keys_are_short_and_do_not_stay(counters, operator):
    subject = Subject("model", "m" * 100_000)
    claims = [
        requests(9, subject),
        tokens(9, 1),
        place(9),
        *(money(9, 1, period) for period in ("2026-11-21", "2026-11", "total")),
    ]
    await reserve(counters, *claims, lease="a")
    await counters.reserve("refused", [money(0, 1, "2026-10")], {})
    await reserve(counters, money(0, 1, "2026-09"))
    await reserve(counters, *claims, lease="b")
    counters.settle("b", claims, tokens=1, nanos=1)
    await until_left(counters, place(9), 8)

    lives = {key: operator.ttl(key) for key in operator.keys("*")}

    assert len(lives) == 11
    assert all(key.startswith("{llm-proxy}:") and len(key) < 100 for key in lives)
    assert min(lives.values()) > 0
    windows = [key for key in lives if "requests" in key or "tokens" in key]
    assert len(windows) == 4
    assert max(lives[key] for key in windows) <= 61


async def test_absurd_figures_neither_pass_nor_break_anything(counters):
    absurd = 10**30
    assert not await is_granted(counters, money(50, absurd))
    assert not await is_granted(counters, money(50, 1, "total"), spent=absurd)
    claims = (tokens(100, 1), money(absurd, 1, "2026-11"))
    for lease in ("a", "b", "c", "d"):
        await reserve(counters, *claims, lease=lease)

    for lease in ("a", "b", "c", "d"):
        counters.settle(lease, claims, tokens=absurd, nanos=absurd)
    await reserve(counters, place(1), lease="e")
    counters.settle("e", (place(1),), tokens=0, nanos=0)

    await until_left(counters, place(1), 1)
    assert not await is_granted(counters, tokens(100, 1))


async def test_large_sums_are_exact(counters):
    budget = 9_000_000 * 10**9

    await reserve(counters, money(budget, budget - 7), lease="a")
    assert await left(counters, money(budget, 3)) == [4]
    counters.settle("a", (money(budget, budget - 7),), tokens=0, nanos=budget - 9)

    await until_left(counters, money(budget, 0), 6)


async def test_process_that_dies_frees_its_places_and_has_spent_its_money(process, age):
    claims = (place(1), money(50, 20))
    await reserve(process(), *claims)
    survivor = process()
    age(59)
    assert not await is_granted(survivor, *claims)

    age(1)

    assert await left(survivor, *claims) == [0, 10]


async def test_late_settlement_is_the_truth(process, age):
    claims = (place(2), money(50, 20))
    late = process()
    await reserve(late, *claims, lease="a")
    age(3600)
    survivor = process()
    await reserve(survivor, *claims)

    late.settle("a", claims, tokens=0, nanos=3)

    await until_left(survivor, money(50, 0), 27)
    await until_left(survivor, place(2), 1)


async def test_process_that_was_away_keeps_its_places(process, age):
    away, other = process(), process()
    await reserve(away, place(2), lease="a")
    age(3600)

    assert await left(away, requests(9)) == [8]

    assert await left(other, place(2)) == [0]


async def test_process_that_was_away_waits_for_no_other(process, age):
    away, other = process(), process()
    await reserve(other, requests(9))
    await reserve(away, requests(9))
    age(3600)

    assert await left(away, money(50, 20)) == [30]


async def test_leases_are_renewed_while_the_process_lives(process, operator):
    counters = process(lease_seconds=0.15)
    await counters.open()
    await reserve(counters, place(1), lease="a")
    (key,) = operator.keys("*:concurrent:*")

    def expiry() -> float:
        return operator.zscore(key, "a")

    async def is_later(seen: float) -> bool:
        return expiry() > seen

    for _ in range(2):
        await until(partial(is_later, expiry()))


async def test_processes_count_each_other(process, age):
    first, second, third = process(), process(), process()
    for each in (first, second, third):
        await each.open()
    assert (first.processes, third.processes) == (1, 3)

    await second.aclose()
    fourth = process()
    await fourth.open()
    assert fourth.processes == 3

    age(60)
    last = process()
    await last.open()
    assert last.processes == 1


async def test_processes_hear_of_new_ones_with_each_reservation(process):
    first, second = process(), process()
    for each in (first, second):
        await each.open()

    assert await is_granted(first, requests(1))

    assert first.processes == 2


async def test_renewal_that_comes_after_the_settlement_changes_nothing(
    counters, redis_url
):
    claims = (place(2), money(50, 20))
    await reserve(counters, *claims, lease="a")
    late = renewal(Owner("late", 60), {"a": claims}, None)
    counters.settle("a", claims, tokens=0, nanos=3)
    await until_left(counters, money(50, 0), 47)

    redis = Redis(redis_url, timeout_seconds=30)
    await redis.run(load("renew"), late.keys, (2**60, *late.arguments))
    await redis.aclose()

    assert await left(counters, *claims) == [1, 27]


async def test_renewal_that_comes_too_late_changes_nothing(counters, redis_url):
    claims = (place(2), money(50, 20))
    await reserve(counters, *claims)
    late = renewal(Owner("late", 60), {"a": claims}, ["other"])

    redis = Redis(redis_url, timeout_seconds=30)
    answer, _ = await redis.run(load("renew"), late.keys, (1, *late.arguments))
    await redis.aclose()

    assert answer == b"late"
    assert counters.processes == 1
    assert await left(counters, *claims) == [0, 10]


async def test_clock_that_goes_back_keeps_no_window_full(counters, age):
    claims = (requests(1), tokens(9, 9))
    await reserve(counters, *claims)
    age(-30)
    assert not await is_granted(counters, *claims)

    age(-3600)

    assert await left(counters, *claims) == [0, 0]


async def test_what_redis_evicts_is_counted_from_the_start(counters, operator):
    claims = (tokens(100, 60), money(50, 20))
    await reserve(counters, *claims, lease="a")
    operator.delete(*operator.keys("*:log"), *operator.keys("*:money:*"))

    counters.settle("a", claims, tokens=60, nanos=3)
    await counters.aclose()

    assert not operator.keys("*:money:*")
    assert await left(counters, *claims, spent=3) == [40, 27]


async def test_nothing_is_given_back_to_a_counter_that_never_had_it(
    counters, process, operator
):
    await reserve(counters, money(50, 20), lease="a")
    operator.delete(*operator.keys("*:money:*"))
    await reserve(process(), money(50, 10), spent=3)

    counters.settle("a", (money(50, 20),), tokens=0, nanos=1)
    await counters.aclose()

    assert await left(process(), money(50, 0)) == [37]


async def test_counter_that_redis_evicts_hears_what_is_set_aside(
    counters, process, operator
):
    claims = (money(50, 20), money(500, 20, "total"))
    await reserve(counters, *claims, lease="a")
    operator.delete(*operator.keys("*:money:2026*"))
    await reserve(process(), money(50, 10))

    for _ in range(2):
        await counters.open()

    assert await left(process(), money(50, 0), money(500, 0, "total")) == [20, 480]
    counters.settle("a", claims, tokens=0, nanos=1)
    await until_left(counters, money(50, 0), 39)
    await until_left(counters, money(500, 0, "total"), 499)


async def test_closing_writes_what_waits(process):
    closing, other = process(), process()
    for number in range(450):
        await reserve(closing, money(5000, 10), lease=f"{number}")

    for number in range(450):
        closing.settle(f"{number}", (money(5000, 10),), tokens=0, nanos=1)
    await closing.aclose()

    assert await left(other, money(5000, 0)) == [4550]


OTHER = Subject("key", "k2")


def spoil(operator, kind: Kind, subject: Subject = KEY) -> None:
    """Puts what is not ours in the place of a subject's counter."""
    period = "2026-11-21" if kind == "money" else ""
    ours = reservation(Owner("", 1), "", [Claim(subject, kind, 1, 1, period)], {})
    operator.delete(ours.keys[-1])
    operator.set(ours.keys[-1], "rubbish")


@pytest.mark.parametrize("kind", ["tokens", "concurrent", "money"])
async def test_spoilt_counter_is_trouble_for_its_subject_alone(
    counters, operator, kind: Kind
):
    period = "2026-11-21" if kind == "money" else ""
    claim = Claim(KEY, kind, 9, 1, period)
    assert await is_granted(counters, claim)
    spoil(operator, kind)

    for _ in range(4):
        with pytest.raises(StorageUnavailableError) as caught:
            await reserve(counters, claim)
        assert "WRONGTYPE" in caught.value.log_detail

    assert await left(counters, claim._replace(subject=OTHER)) == [8]


@pytest.mark.parametrize("kind", ["tokens", "concurrent", "money"])
async def test_spoilt_counter_keeps_nobody_else_from_being_settled(
    counters, operator, kind: Kind, capsys
):
    period = "2026-11-21" if kind == "money" else ""
    spoilt, sound = Claim(KEY, kind, 90, 10, period), money(900, 10, "total")
    for number in range(5):
        await reserve(counters, spoilt, sound, lease=f"{number}")
    await reserve(counters, sound, lease="other")
    spoil(operator, kind)

    for number in range(5):
        counters.settle(f"{number}", (spoilt, sound), tokens=1, nanos=1)
    counters.settle("other", (sound,), tokens=0, nanos=1)

    await until_left(counters, money(900, 0, "total"), 894)
    await counters.aclose()
    assert "settlements_lost" in capsys.readouterr().out


async def test_spoilt_counter_keeps_nobody_else_from_being_renewed(counters, operator):
    await reserve(counters, place(9), lease="spoilt")
    other = place(9)._replace(subject=OTHER)
    await reserve(counters, other, lease="sound")
    spoil(operator, "concurrent")
    (key,) = (
        each
        for each in operator.keys("*:concurrent:*")
        if operator.type(each) == "zset"
    )
    operator.zadd(key, {"sound": 1})

    await counters.open()

    assert operator.zscore(key, "sound") > 1

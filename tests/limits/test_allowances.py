"""Reservations: refusals that say what to do, outages, and budgets that run low."""

import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs
from tests.ledger.writing import until
from tests.limits.claiming import TEAM, Fickle

from llm_proxy.errors import (
    BudgetExceededError,
    InvalidInputError,
    RateLimitExceeded,
    StorageUnavailableError,
)
from llm_proxy.limits import NOTHING, Allowances, Term, reservation_headers
from llm_proxy.types import Subject

DOLLAR = 1_000_000_000
REQUESTS = Term(TEAM, "requests", 10)
TOKENS = Term(TEAM, "tokens", 1000)
CONCURRENT = Term(TEAM, "concurrent", 2)
BUDGET = Term(TEAM, "money", 10 * DOLLAR, "total", 0.8)


@pytest.fixture
def counters():
    return Fickle()


class Ledger:
    """Says what was spent, as far as a test lets it."""

    def __init__(self, nanos: int = 0) -> None:
        self.nanos = nanos
        self.asked = Counter()
        self.is_down = False
        self.lets = asyncio.Event()
        self.lets.set()

    async def spent(self, subject: Subject, period: str) -> int:
        self.asked[subject, period] += 1
        await self.lets.wait()
        if self.is_down:
            raise StorageUnavailableError(log_detail="no database")
        return self.nanos


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def allowances(counters, ledger):
    return Allowances(counters, spending=ledger.spent)


def names():
    number = 0
    while True:
        number += 1
        yield f"lease-{number}"


leases = names()


async def reserve(allowances, *terms, tokens=0, nanos=0):
    return await allowances.reserve(terms, tokens, nanos, next(leases))


async def count(allowances, *terms, calls=200, **amounts):
    """Counts what becomes of many calls at a time: granted or the kind of error."""
    tasks = (reserve(allowances, *terms, **amounts) for _ in range(calls))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return Counter(type(each).__name__ for each in found)


async def test_a_call_without_limits_costs_nothing(allowances, counters):
    reservation = await reserve(allowances)
    reservation.settle(1, 1)

    assert reservation is NOTHING
    assert (reservation.standings, reservation.warnings) == ((), ())
    assert (counters.asked, counters.settled) == (0, [])


async def test_the_tightest_limits_are_told(allowances):
    key = Subject("key", "root")
    terms = REQUESTS, Term(key, "requests", 5), TOKENS, Term(key, "tokens", 9000)
    reservation = await reserve(allowances, *terms, BUDGET, tokens=10)

    headers = dict(reservation_headers(reservation))
    assert headers == {
        b"x-ratelimit-limit-requests": b"5",
        b"x-ratelimit-remaining-requests": b"4",
        b"x-ratelimit-reset-requests": b"60s",
        b"x-ratelimit-limit-tokens": b"%d" % TOKENS.limit,
        b"x-ratelimit-remaining-tokens": b"990",
        b"x-ratelimit-reset-tokens": b"60s",
    }


async def test_settling_twice_settles_once(allowances, counters):
    reservation = await reserve(allowances, TOKENS, BUDGET, tokens=900, nanos=DOLLAR)
    reservation.settle(100, 0)
    reservation.settle(0, 0)

    assert len(counters.settled) == 1
    after = await reserve(allowances, TOKENS, BUDGET, tokens=0)
    assert after.standings[0].remaining == 900


@pytest.mark.parametrize(
    ("term", "amounts", "limit", "remaining", "seconds"),
    [
        (REQUESTS, {}, "requests_per_minute", 0, 60),
        (TOKENS, {"tokens": 400}, "tokens_per_minute", 200, 60),
        (CONCURRENT, {}, "concurrent_requests", 0, 1),
    ],
)
async def test_who_is_too_fast_hears_when_to_come_back(
    allowances, term, amounts, limit, remaining, seconds
):
    await count(allowances, term, calls=10, **amounts)
    with pytest.raises(RateLimitExceeded) as raised:
        await reserve(allowances, term, **amounts)

    error = raised.value
    assert error.status == 429
    names = {name for name, _ in error.own_headers}
    is_told = term.kind != "concurrent"
    assert (b"x-ratelimit-remaining-" + term.kind.encode() in names) == is_told
    kind = limit.replace("_", " ")
    assert error.message == f"Rate limit exceeded: {kind} of team:acme/red"
    assert error.details == [
        {"limit": limit, "subject": "team:acme/red", "remaining": remaining}
    ]
    assert error.retry_after_seconds == pytest.approx(seconds, abs=5)


async def test_a_request_larger_than_its_limit_is_never_tried_again(allowances):
    with pytest.raises(InvalidInputError, match="1001 tokens") as raised:
        await reserve(allowances, REQUESTS, TOKENS, tokens=1001)

    assert raised.value.status == 400
    reservation = await reserve(allowances, REQUESTS, TOKENS, tokens=1000)
    assert [each.remaining for each in reservation.standings] == [9, 0]


async def test_who_has_no_money_hears_how_much_there_is(counters):
    allowances = Allowances(counters, spending=Ledger(2_250_000_000).spent)
    budgets = Term(TEAM, "money", 3 * DOLLAR, "total"), REQUESTS
    with pytest.raises(BudgetExceededError) as raised:
        await reserve(allowances, *budgets, nanos=DOLLAR)

    error = raised.value
    assert error.status == 402
    assert error.retry_after_seconds is None
    assert error.message == (
        "The budget of team:acme/red (total) does not cover the call: "
        "it may cost up to $1, and $0.75 is left"
    )
    assert error.details == [
        {
            "subject": "team:acme/red",
            "period": "total",
            "limit": "3",
            "remaining": "0.75",
        }
    ]


async def test_money_comes_first(allowances):
    one = Term(TEAM, "requests", 1)
    await reserve(allowances, one)
    with pytest.raises(BudgetExceededError):
        await reserve(allowances, one, BUDGET, nanos=11 * DOLLAR)


async def test_amounts_of_money_have_no_exponents(counters):
    budget = Term(TEAM, "money", 500 * DOLLAR, "total")
    allowances = Allowances(counters, spending=Ledger(500 * DOLLAR - 20).spent)
    with pytest.raises(BudgetExceededError) as raised:
        await reserve(allowances, budget, nanos=21)

    (details,) = raised.value.details
    assert (details["limit"], details["remaining"]) == ("500", "0.00000002")


@pytest.mark.parametrize("term", [REQUESTS, TOKENS, CONCURRENT, BUDGET])
async def test_a_burst_gets_exactly_what_there_is(allowances, term):
    amount = {"requests": 10, "tokens": 10, "concurrent": 2, "money": 20}[term.kind]
    nanos, tokens = DOLLAR // 2, 100
    found = await count(allowances, term, tokens=tokens, nanos=nanos)

    assert found.pop("Reservation") == amount
    assert found.total() == 200 - amount
    assert set(found) <= {"RateLimitExceeded", "BudgetExceededError"}


async def test_a_figure_is_asked_for_once(allowances, ledger):
    terms = BUDGET, Term(TEAM, "money", 9 * DOLLAR, "month")
    ledger.lets.clear()
    ledger.nanos = 8 * DOLLAR
    burst = asyncio.create_task(count(allowances, *terms, nanos=DOLLAR // 4))
    await until(lambda: ledger.asked.total() == 2)
    ledger.lets.set()

    assert (await burst)["Reservation"] == 4
    await count(allowances, *terms, calls=1)
    assert set(ledger.asked.values()) == {1}


async def test_who_stops_waiting_takes_the_figure_from_nobody(allowances, ledger):
    ledger.lets.clear()
    first = asyncio.create_task(reserve(allowances, BUDGET))
    await until(lambda: ledger.asked)
    second = asyncio.create_task(reserve(allowances, BUDGET))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    ledger.lets.set()
    await second

    assert ledger.asked.total() == 1


async def test_a_figure_that_fails_is_asked_for_again(allowances, ledger):
    ledger.is_down = True
    with pytest.raises(StorageUnavailableError):
        await reserve(allowances, BUDGET)
    ledger.is_down = False
    await reserve(allowances, BUDGET)

    assert ledger.asked.total() == 2


async def test_without_a_ledger_money_starts_at_nothing(counters):
    found = await count(Allowances(counters), BUDGET, nanos=DOLLAR)
    assert found["Reservation"] == 10


async def test_counters_that_forget_at_once_are_no_endless_loop(ledger):
    class Forgetful(Fickle):
        async def reserve(self, lease, claims, spent):
            return await super().reserve(lease, claims, {})

    allowances = Allowances(Forgetful(), spending=ledger.spent)
    with pytest.raises(StorageUnavailableError):
        await reserve(allowances, BUDGET)


async def test_an_outage_leaves_each_process_its_share(counters):
    allowances = Allowances(counters, processes=lambda: 4)
    counters.is_down = True
    with capture_logs() as lines:
        found = await count(allowances, Term(TEAM, "requests", 30), CONCURRENT)
        assert found["Reservation"] == 1
        found = await count(allowances, Term(TEAM, "requests", 30))

    assert found["Reservation"] == 30 // 4 - 1
    (line,) = lines
    assert (line["event"], line["processes"]) == ("limits_divided", 4)
    assert line["detail"] == "taken away"


async def test_who_is_too_large_for_a_share_may_come_back(counters):
    allowances = Allowances(counters, processes=lambda: 4)
    counters.is_down = True
    with pytest.raises(RateLimitExceeded) as raised:
        await reserve(allowances, TOKENS, tokens=900)
    assert raised.value.retry_after_seconds == 1


async def test_what_was_taken_in_an_outage_is_settled_where_it_was_taken(counters):
    allowances = Allowances(counters)
    counters.is_down = True
    during = await reserve(allowances, CONCURRENT)
    counters.is_down = False
    after = await reserve(allowances, CONCURRENT)
    during.settle(0, 0)
    assert counters.settled == []
    after.settle(0, 0)
    assert len(counters.settled) == 1

    counters.is_down = True
    found = await count(allowances, CONCURRENT)
    assert found["Reservation"] == 2


async def test_what_was_taken_before_an_outage_is_part_of_the_share(counters):
    allowances = Allowances(counters, processes=lambda: 2)
    ten = Term(TEAM, "concurrent", 10)
    before = [await reserve(allowances, ten, REQUESTS, BUDGET) for _ in range(4)]
    counters.is_down = True
    assert (await count(allowances, ten))["Reservation"] == 1
    assert (await count(allowances, REQUESTS))["Reservation"] == 1
    before[0].settle(0, 0)
    assert (await count(allowances, ten))["Reservation"] == 1
    assert (await count(allowances, REQUESTS))["Reservation"] == 0


@pytest.mark.parametrize("fault", ["counters", "ledger"])
async def test_nobody_spends_what_nobody_counts(counters, ledger, fault):
    allowances = Allowances(counters, spending=ledger.spent)
    (counters if fault == "counters" else ledger).is_down = True
    with pytest.raises(StorageUnavailableError):
        await reserve(allowances, REQUESTS, BUDGET)

    counters.is_down = ledger.is_down = False
    reservation = await reserve(allowances, REQUESTS)
    assert reservation.standings[0].remaining == 9


@pytest.mark.parametrize("fault", ["counters", "ledger"])
async def test_the_operator_may_choose_not_to_count(counters, ledger, fault):
    allowances = Allowances(counters, spending=ledger.spent, fails_open=True)
    (counters if fault == "counters" else ledger).is_down = True
    with capture_logs() as lines:
        found = await count(allowances, REQUESTS, BUDGET, nanos=100 * DOLLAR)

    assert found == {"Reservation": 10, "RateLimitExceeded": 190}
    events = Counter(line["event"] for line in lines)
    assert events.pop("budgets_uncounted") == 1
    assert events == ({"limits_divided": 1} if fault == "counters" else {})

    counters.is_down = ledger.is_down = False
    with pytest.raises(BudgetExceededError):
        await reserve(allowances, BUDGET, nanos=100 * DOLLAR)


async def test_known_counters_need_no_ledger(allowances, ledger):
    await reserve(allowances, BUDGET, nanos=DOLLAR)
    ledger.is_down = True
    found = await count(allowances, BUDGET, nanos=DOLLAR)
    assert found == {"Reservation": 9, "BudgetExceededError": 191}


async def test_a_budget_that_runs_low_is_told_of_once(allowances):
    with capture_logs() as lines:
        first = await reserve(allowances, BUDGET, nanos=7 * DOLLAR)
        second = await reserve(allowances, BUDGET, nanos=DOLLAR)
        third = await reserve(allowances, BUDGET, nanos=DOLLAR)

    assert first.warnings == ()
    assert [each.remaining for each in second.warnings] == [2 * DOLLAR]
    assert [each.remaining for each in third.warnings] == [DOLLAR]
    assert [
        (line["event"], line["subject"], line["period"], line["share"])
        for line in lines
    ] == [("budget_warning", "team:acme/red", "total", 0.8)]


async def test_a_budget_of_nothing_covers_what_is_free(allowances):
    nothing = Term(TEAM, "money", 0, "total")
    reservation = await reserve(allowances, nothing)
    assert len(reservation.warnings) == 1
    with pytest.raises(BudgetExceededError):
        await reserve(allowances, nothing, nanos=1)

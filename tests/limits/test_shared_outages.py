"""Counters whose Redis is frozen, stopped, emptied, or refuses what it is asked."""

import asyncio

import pytest
import redis as driver
from tests.limits.sharing import (
    KEY,
    is_granted,
    left,
    money,
    place,
    requests,
    reserve,
    tokens,
    until_left,
)

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.claim import Claim, Kind
from llm_proxy.limits.scripts import PROCESSES

pytestmark = pytest.mark.integration


async def test_cancelled_reservation_is_given_back(redis_server, process):
    counters = process(redis_server.url)
    await reserve(counters, requests(9))

    redis_server.freeze()
    try:
        task = asyncio.create_task(is_granted(counters, place(1), lease="a"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
    finally:
        redis_server.thaw()

    await until_left(counters, place(1), 1)
    # Also if Redis reads it only after that.
    with pytest.raises(StorageUnavailableError) as caught:
        await reserve(process(redis_server.url), place(1), lease="a")
    assert "is settled" in caught.value.log_detail


async def test_frozen_redis_is_waited_for_only_a_moment(redis_server, process):
    counters = process(redis_server.url, timeout_seconds=0.2)
    claims = (place(7), money(50, 20))
    await reserve(counters, *claims, lease="before")

    redis_server.freeze()
    try:
        async with asyncio.timeout(30):
            for _ in range(6):
                with pytest.raises(StorageUnavailableError):
                    await reserve(counters, *claims)
        counters.settle("before", claims, tokens=0, nanos=4)
    finally:
        redis_server.thaw()

    # What came through late is given back, and what waited is settled.
    await until_left(counters, money(50, 0), 46)
    await until_left(counters, place(7), 7)


async def test_what_redis_reads_too_late_takes_nothing(redis_server, process):
    counters = process(redis_server.url, timeout_seconds=0.05)
    other = process(redis_server.url)
    claims = (place(9), money(90, 10))
    await reserve(counters, *claims)
    assert await left(other, place(9)) == [7]

    redis_server.freeze()
    try:
        found = await asyncio.gather(
            *(reserve(counters, *claims) for _ in range(7)), return_exceptions=True
        )
        # Until nobody could have waited for them any longer.
        await asyncio.sleep(0.1)
    finally:
        redis_server.thaw()
    assert {type(each) for each in found} == {StorageUnavailableError}
    assert await left(other, requests(9)) == [8]

    # Who has sent them does not know yet that Redis is back, and gives nothing back.
    assert await left(other, place(9), money(90, 0)) == [6, 80]


async def test_what_is_over_is_given_back_before_more_is_taken(
    redis_server, process, monkeypatch
):
    monkeypatch.setattr("llm_proxy.limits.shared._PAUSE_SECONDS", 3600.0)
    counters = process(redis_server.url, timeout_seconds=0.2)
    claims = (place(1), money(50, 50))
    await reserve(counters, *claims, lease="a")

    redis_server.freeze()
    try:
        counters.settle("a", claims, tokens=0, nanos=0)
        with pytest.raises(StorageUnavailableError):
            await reserve(counters, requests(9))
    finally:
        redis_server.thaw()

    assert await first_answer(counters, *claims, lease="b")
    # From now on settlements are written as ever.
    counters.settle("b", claims, tokens=0, nanos=0)
    await until_left(counters, money(50, 0), 50)


async def first_answer(counters, *claims: Claim, **options) -> bool:
    """Says whether the first call is granted that Redis answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await is_granted(counters, *claims, **options)
            except StorageUnavailableError:
                await asyncio.sleep(0.02)


async def test_settlements_wait_until_redis_is_back(redis_server, process):
    counters = process(redis_server.url, timeout_seconds=0.2)
    claims = (money(5000, 10),)
    for number in range(300):
        await reserve(counters, *claims, lease=f"{number}")

    redis_server.freeze()
    try:
        for number in range(300):
            counters.settle(f"{number}", claims, tokens=0, nanos=1)
        with pytest.raises(StorageUnavailableError):
            await reserve(counters, *claims)
    finally:
        redis_server.thaw()

    await until_left(counters, money(5000, 0), 4700)


async def test_too_many_settlements_count_as_spent(
    redis_server, process, monkeypatch, capsys
):
    monkeypatch.setattr("llm_proxy.limits.shared._MAX_WAITING", 3)
    counters = process(redis_server.url, timeout_seconds=0.2)
    for number in range(5):
        await reserve(counters, money(50, 10), lease=f"{number}")

    redis_server.freeze()
    try:
        for number in range(5):
            counters.settle(f"{number}", (money(50, 10),), tokens=0, nanos=0)
    finally:
        redis_server.thaw()

    await until_left(counters, money(50, 0), 30)
    assert "settlements_lost" in capsys.readouterr().out


async def restart(redis_server) -> None:
    redis_server.stop()
    redis_server.start()
    # Until clients have heard that their connections are gone.
    await asyncio.sleep(0.05)


async def test_redis_that_starts_again_hears_what_is_set_aside(redis_server, process):
    first, second = process(redis_server.url), process(redis_server.url)
    claims = (place(9), money(50, 10))
    await reserve(second, *claims)
    await reserve(first, *claims, spent=3, lease="a")
    await reserve(first, *claims, lease="b")

    await restart(redis_server)

    # Until all are heard there is no money, whoever says how much was spent.
    for _ in range(2):
        with pytest.raises(StorageUnavailableError) as caught:
            await reserve(first, *claims, spent=5)
        assert "lost its data" in caught.value.log_detail
    assert await left(first, place(9)) == [6]
    verdict = await second.reserve("c", claims, {})
    assert verdict.unknown == (claims[1].counter,)
    # By now the ledger has 2 for what is done.
    assert await left(first, *claims, spent=5) == [4, 5]


async def test_dead_process_is_not_waited_for_longer_than_it_lives(
    redis_server, process
):
    alive, dead = (process(redis_server.url, lease_seconds=0.5) for _ in range(2))
    await reserve(dead, money(50, 10))
    await reserve(alive, money(50, 10))

    await restart(redis_server)

    with pytest.raises(StorageUnavailableError):
        await reserve(alive, money(50, 10))
    await until_left(alive, money(50, 0), 40)


def noted(*names: str):
    """A database in which these processes have reservations."""

    async def others() -> tuple[str, ...]:
        return names

    return others


async def test_process_that_starts_waits_for_whom_the_database_knows(operator, process):
    old = process(name="old")
    await reserve(old, money(50, 40))
    operator.flushall()

    new = process(name="new", others=noted("new", "old"))
    await new.open()
    # It takes nobody's place among those who are awaited.
    await process(name="newer", others=noted("old")).open()

    with pytest.raises(StorageUnavailableError) as caught:
        await reserve(new, money(50, 10))
    assert "lost its data" in caught.value.log_detail
    await old.open()
    assert await left(new, money(50, 10)) == [0]


async def test_process_that_just_started_is_waited_for(operator, process):
    first, second = (
        process(name=name, others=noted("young")) for name in ("first", "second")
    )
    young = process(name="young")
    for each in (first, second, young):
        await each.open()
    await reserve(young, money(50, 40))
    operator.flushall()

    for each in (first, second, first):
        with pytest.raises(StorageUnavailableError):
            await reserve(each, money(50, 10))
    await young.open()
    assert await left(first, money(50, 10)) == [0]


@pytest.mark.parametrize("is_dead", [False, True])
async def test_process_that_redis_knows_is_not_waited_for(process, is_dead):
    ended = process(name="ended")
    await reserve(ended, money(50, 10))
    if not is_dead:
        await ended.aclose()

    new = process(others=noted("ended"))
    await new.open()

    assert await left(new, money(50, 0, "total")) == [50]


async def test_each_loss_is_waited_out_anew(operator, process):
    alive = process(others=noted("dead"), lease_seconds=0.5)
    await reserve(alive, requests(9))
    for period in ("2026-11-20", "2026-11-21"):
        operator.delete(PROCESSES)
        with pytest.raises(StorageUnavailableError):
            await reserve(alive, money(50, 10, period))
        await until_left(alive, money(50, 0, period), 50)


async def test_nobody_is_waited_for_longer_because_another_asks(operator, process):
    await process(others=noted("dead")).open()
    (key,) = operator.keys("*:awaited")
    until_then = operator.zscore(key, "dead")

    await process(others=noted("dead")).open()

    assert operator.zscore(key, "dead") == until_then


async def test_settlement_from_before_is_in_the_ledger(redis_server, process):
    counters = process(redis_server.url)
    claims = (place(5), money(50, 10))
    await reserve(counters, *claims, lease="a")

    redis_server.stop()
    counters.settle("a", claims, tokens=0, nanos=2)
    await asyncio.sleep(0.1)
    redis_server.start()
    await reserve(counters, *claims, spent=2)

    await counters.aclose()
    assert await left(counters, *claims) == [3, 28]


async def test_what_was_never_sent_crowds_out_no_settlement(
    redis_server, process, monkeypatch
):
    monkeypatch.setattr("llm_proxy.limits.shared._MAX_WAITING", 10)
    counters = process(redis_server.url, timeout_seconds=0.2)
    await reserve(counters, money(50, 10), lease="a")

    redis_server.freeze()
    try:
        for number in range(30):
            with pytest.raises(StorageUnavailableError):
                await reserve(counters, place(1))
            if number == 3:
                counters.settle("a", (money(50, 10),), tokens=0, nanos=1)
    finally:
        redis_server.thaw()

    await until_left(counters, money(50, 0), 49)


async def test_redis_that_is_away_at_the_start_is_met_later(redis_server, process):
    redis_server.stop()
    try:
        counters = process(redis_server.url)
        await counters.open()
        assert counters.processes == 1
        with pytest.raises(StorageUnavailableError):
            await reserve(counters, requests(5))
    finally:
        redis_server.start()

    assert await left(counters, requests(5)) == [4]


async def test_settlements_wait_while_an_acl_forbids_them(
    redis_server, redis_url, process, operator
):
    counters = process()
    claims = (tokens(1000, 100), place(5), money(50, 10))
    await reserve(counters, *claims, lease="a")
    operator.execute_command("ACL", "SETUSER", "default", "-hincrby")
    try:
        with pytest.raises(StorageUnavailableError):
            await reserve(counters, *claims)
        counters.settle("a", claims, tokens=30, nanos=3)
        await asyncio.sleep(0.1)
    finally:
        operator.execute_command("ACL", "SETUSER", "default", "+@all")

    await until_left(counters, money(50, 0), 47)
    await until_left(counters, tokens(1000, 0), 970)


async def test_settlements_wait_while_redis_is_a_replica(redis_server, process):
    counters = process(redis_server.url)
    claims = (tokens(1000, 100), place(5), money(50, 10))
    await reserve(counters, *claims, lease="a")
    with driver.Redis.from_url(redis_server.url) as operator:
        # Of a server that is not there, so that it keeps what it has.
        operator.replicaof("127.0.0.1", 1)
        try:
            for _ in range(4):
                with pytest.raises(StorageUnavailableError):
                    await reserve(counters, *claims)
            counters.settle("a", claims, tokens=30, nanos=3)
            await asyncio.sleep(0.1)
        finally:
            operator.replicaof("NO", "ONE")

    assert await first_answer(counters, tokens(1000, 970), place(1), money(50, 47))


@pytest.mark.parametrize("kind", ["tokens", "concurrent", "money"])
async def test_counters_go_on_when_redis_has_no_memory_left(
    redis_server, redis_url, process, kind: Kind
):
    period = "2026-11-21" if kind == "money" else ""
    claim = Claim(KEY, kind, 3, 1, period)
    with driver.Redis.from_url(redis_server.url) as operator:
        operator.config_set("maxmemory", "1")
        try:
            counters = process(redis_server.url)
            await reserve(counters, claim, lease="a")
            assert await left(counters, claim) == [1]
            await counters.open()
            counters.settle("a", (claim,), tokens=0, nanos=0)
            await until_left(counters, claim, 2)
        finally:
            operator.config_set("maxmemory", "0")


async def test_settlements_wait_while_redis_wants_a_password(redis_server, process):
    counters = process(redis_server.url)
    claims = (place(5), money(50, 10))
    await reserve(counters, *claims, lease="a")
    with driver.Redis.from_url(redis_server.url) as operator:
        operator.config_set("requirepass", "secret")
        operator.client_kill_filter(_type="normal", skipme=True)
        try:
            for _ in range(4):
                with pytest.raises(StorageUnavailableError):
                    await reserve(counters, *claims)
            counters.settle("a", claims, tokens=0, nanos=3)
            await asyncio.sleep(0.1)
        finally:
            operator.config_set("requirepass", "")

    await until_left(counters, money(50, 0), 47)

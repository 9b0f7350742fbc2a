"""Postgres stops under load: those who are known notice nothing, and no row is lost."""

import asyncio
import os
from time import monotonic

import pytest
from tests.integration.company import load, money_for, until
from tests.live import PATHS

from llm_proxy.security.key_text import new_secret

pytestmark = pytest.mark.integration

OUTAGE_SECONDS = float(os.environ.get("TEST_OUTAGE_SECONDS", "4"))
PROCESSES = range(4)
# By then all processes have heard of new keys, which they forget once when they do.
HEARD_SECONDS = 2.5


async def test_postgres_stops_under_load(company, callers, postgres):
    busy, busy_name = await callers.key_and_id(**money_for(1_000_000))
    idle, never_used = await callers.key(), await callers.key()
    await asyncio.sleep(HEARD_SECONDS)
    before = await company.made()
    for key in (busy, idle):
        assert await statuses(callers, key) == {200}
    asks = [
        lambda path=path, stream=stream: callers.ask(busy, path=path, stream=stream)
        for path in PATHS
        for stream in (False, True)
    ]
    async with load(*asks) as running:
        await running.until_answered(50)
        await asyncio.to_thread(postgres.stop)
        back_at = monotonic() + OUTAGE_SECONDS
        try:
            await running.until_answered(50)
            found = [
                await statuses(callers, key) for key in (idle, never_used, new_secret())
            ]
            await asyncio.sleep(max(0, back_at - monotonic()))
        finally:
            await asyncio.to_thread(postgres.start)
        await running.until_answered(50)

    assert running.answers == len(running.told)
    assert found == [{200}, {503}, {503}]
    await until(lambda: asyncio.to_thread(lambda: list(company.spool.iterdir())), [])
    # Besides those of the load, each process was asked once with this key, and twice
    # with the other one.
    made = running.answers + len(PROCESSES)
    assert await company.made() - before == made + 2 * len(PROCESSES)
    count = "SELECT count(*), count(DISTINCT id) FROM ledger WHERE principal = $1"
    await until(lambda: company.rows(count, busy_name), [(made, made)])
    await until(lambda: statuses(callers, never_used), {200})


async def statuses(callers, key):
    """What all processes say to a key."""
    return {(await callers.ask(key, at=each)).status for each in PROCESSES}

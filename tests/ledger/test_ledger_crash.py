"""What is acknowledged outlives processes that are killed and servers that stop."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.writing import Fickle, entry, until

from llm_proxy.ledger import Ledger, Spool

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ENOUGH_ROWS = 2000


def start(url, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.loaded_child", url, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def killed(child):
    """Kills a process under load and gives the ids that it had acknowledged."""
    lines = [child.stdout.readline() for _ in range(ENOUGH_ROWS)]
    child.kill()
    lines += child.stdout.readlines()
    child.stdout.close()
    assert child.wait(20) == -9
    return {line.decode().strip() for line in lines}


@pytest.mark.parametrize("database_url", ["file", "postgres"], indirect=True)
async def test_processes_that_are_killed_lose_nothing(database_url, tmp_path):
    database = Fickle(database_url)
    await database.create()
    folder = tmp_path / "spool"
    # Two share the folder; a third takes over from them, and is killed as well.
    children = [start(database_url, folder) for _ in range(2)]
    acknowledged = set().union(*[killed(child) for child in children])
    acknowledged |= killed(start(database_url, folder))
    assert len(acknowledged) >= 3 * ENOUGH_ROWS

    ledger = Ledger(database, Spool(folder), pause_seconds=0.01)
    await ledger.open()
    await until(lambda: not list(folder.iterdir()))
    written = await database.ids()
    assert acknowledged - set(written) == set()
    # Each of a child's callers has at most one row that nobody was told about.
    assert len(written) <= len(acknowledged) + 3 * 50
    await ledger.aclose()
    await database.aclose()


async def test_a_server_that_stops_for_a_while_costs_no_row(postgres, tmp_path):
    database = Fickle(postgres.url)
    await database.create()
    folder = tmp_path / "spool"
    ledger = Ledger(database, Spool(folder), pause_seconds=0.05)
    stopped = asyncio.Event()

    async def caller(name):
        number = 0
        while not stopped.is_set():
            await ledger.add(entry(f"{name}-{number}"))
            number += 1
            await asyncio.sleep(0.005)
        return {f"{name}-{done}" for done in range(number)}

    callers = [asyncio.create_task(caller(name)) for name in range(10)]
    await until(lambda: database.opened > 10)
    await asyncio.to_thread(postgres.stop)
    try:
        await until(lambda: list(folder.glob("*")) != [])
        await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(postgres.start)
    await until(lambda: not list(folder.iterdir()))
    stopped.set()
    acknowledged = set().union(*await asyncio.gather(*callers))

    assert set(await database.ids()) == acknowledged
    await ledger.aclose()
    await database.aclose()

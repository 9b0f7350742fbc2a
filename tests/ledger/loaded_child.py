"""A process that writes a ledger until it is killed, while the database comes and goes.

It prints the id of each row after it has been acknowledged.
"""

import asyncio
import os
import sys
from pathlib import Path

import structlog
from tests.ledger.writing import Fickle, entry

from llm_proxy.ledger import Ledger, Spool

CALLERS = 50
UP_SECONDS, DOWN_SECONDS = 0.25, 0.05


async def caller(ledger: Ledger, name: str) -> None:
    number = 0
    while True:
        number += 1
        row = f"{name}-{number}"
        await ledger.add(entry(row))
        # Without a buffer of ours, which would die with the process.
        os.write(1, f"{row}\n".encode())


async def main(url: str, folder: str) -> None:
    database = Fickle(url)
    await database.open()
    ledger = Ledger(database, Spool(Path(folder)), pause_seconds=0.01)
    await ledger.open()
    for number in range(CALLERS):
        asyncio.ensure_future(caller(ledger, f"{os.getpid()}-{number}"))  # noqa: RUF006
    while True:
        await asyncio.sleep(UP_SECONDS)
        database.is_down = True
        await asyncio.sleep(DOWN_SECONDS)
        database.is_down = False


if __name__ == "__main__":
    # The output is for the ids.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    asyncio.run(main(*sys.argv[1:]))

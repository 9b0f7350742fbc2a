import time
from contextlib import suppress

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from llm_proxy.security.audit import Actor, AuditEntry, AuditQuery, read, record, write
from llm_proxy.storage.tables import audit

ALICE = Actor("alice", "192.0.2.1", "req-1")
BOB = Actor("bob")


@pytest.fixture
async def entries(database) -> list[AuditEntry]:
    """Some entries, the newest first."""
    made = [
        AuditEntry(actor, action, subject, {"number": number}, id=f"{number:032x}")
        for number, (actor, action, subject) in enumerate(
            [
                (ALICE, "key.create", "key_1"),
                (BOB, "key.create", "key_2"),
                (ALICE, "key.revoke", "key_1"),
                (ALICE, "cache.purge", ""),
            ]
        )
    ]
    for entry in made:
        await record(database, entry)
    return made[::-1]


async def test_entries_are_read_as_they_were_written(database, entries):
    assert await read(database, AuditQuery()) == entries


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({"actor": "alice"}, [3, 2, 0]),
        ({"action": "key.create"}, [1, 0]),
        ({"subject": "key_1", "actor": "alice"}, [2, 0]),
        ({"subject": "key_2", "actor": "alice"}, []),
        ({"subject": ""}, [3]),
        ({"limit": 2}, [3, 2]),
        ({"before": f"{2:032x}"}, [1, 0]),
        ({"before": "\0", "actor": "\ud800"}, []),
        ({"action": "' OR 1=1 --"}, []),
    ],
)
@pytest.mark.usefixtures("entries")
async def test_conditions_hold_at_once(database, conditions, numbers):
    found = await read(database, AuditQuery(**conditions))

    assert [entry.details["number"] for entry in found] == numbers


async def test_ids_say_when_it_was():
    entry = AuditEntry(ALICE, "key.create", "key_1")

    assert entry.at_ms == pytest.approx(time.time() * 1000, abs=60_000)
    assert len(entry.id) <= 36
    assert AuditEntry(ALICE, "key.create", "key_1").id != entry.id


async def test_hostile_texts_are_bounded(database):
    hostile = Actor("a" * 300, "\0" * 100, "\ud800")
    await record(database, AuditEntry(hostile, "a" * 65, "'; DROP TABLE audit --\0"))

    (entry,) = await read(database, AuditQuery())
    assert entry.actor == Actor("a" * 255, "\N{REPLACEMENT CHARACTER}" * 64, "?")
    assert entry.action == "a" * 64
    assert entry.subject == "'; DROP TABLE audit --\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "statement", [audit.delete(), audit.update().values(actor="nobody")]
)
async def test_rows_stay_as_they_are(database, entries, statement):
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.begin() as connection:
            await connection.execute(statement)

    assert await read(database, AuditQuery()) == entries


async def test_entry_stays_only_if_its_transaction_does(database, entries):
    with suppress(ZeroDivisionError):
        async with database.begin() as connection:
            await write(connection, AuditEntry(ALICE, "key.create", "key_9"))
            count = await connection.scalar(sa.select(sa.func.count(audit.c.id)))
            assert count == len(entries) + 1
            raise ZeroDivisionError

    assert await read(database, AuditQuery()) == entries

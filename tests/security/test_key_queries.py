import asyncio
import operator
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.security.conftest import PEPPER
from tests.security.keys import FULL, key, soon

from llm_proxy.security.key_queries import find_changes, find_digests
from llm_proxy.security.key_rows import write_key
from llm_proxy.security.key_store import KeyStore
from llm_proxy.security.virtual_key import EndedKey
from llm_proxy.storage.tables import key_secrets, virtual_keys

# Enough for a planner to see that reading all of them is a bad idea.
MANY = 20_000


async def fill(database, count: int) -> None:
    """Adds keys, each with a secret and a number of its own."""
    keys = [
        write_key(key(id=f"key_{number:016x}")) | {"changed_ms": number}
        for number in range(1, count + 1)
    ]
    secrets = [
        {"digest": f"{number:064x}", "key_id": row["id"], "created_ms": 1}
        for number, row in enumerate(keys, start=1)
    ]
    async with database.begin() as connection:
        await connection.execute(virtual_keys.insert(), keys)
        await connection.execute(key_secrets.insert(), secrets)


async def test_principals_are_found_by_secret(store, actor):
    expired = key(created_at=1.0, expires_at=2.0)
    revoked = key()
    made = [FULL, key(), expired, revoked]
    secrets = {each.id: await store.create(each, actor) for each in made}
    await store.revoke(revoked.id, actor)

    digests = {store.digest(secret): name for name, secret in secrets.items()}
    found = await find_digests(store.database, [*digests, "0" * 64])
    assert {digests[each]: caller for each, caller in found.items()} == {
        FULL.id: FULL.principal,
        made[1].id: made[1].principal,
        expired.id: EndedKey(expired.id, "expired"),
        revoked.id: EndedKey(revoked.id, "revoked"),
    }

    callers = {
        digest: caller.credential
        for digest, caller in found.items()
        if digests[digest] in (FULL.id, made[1].id)
    }
    assert len(callers) == 2
    assert all(digest == credential for digest, credential in callers.items())


@pytest.mark.parametrize(
    ("key_ends", "overlap", "earlier"),
    [(None, 600, "secret"), (7200, 600, "secret"), (600, 7200, "key")],
)
async def test_principal_ends_with_its_key_or_its_secret(
    store, actor, key_ends, overlap, earlier
):
    made = key(expires_at=None if key_ends is None else soon(key_ends))
    digest = store.digest(await store.create(made, actor))
    await store.rotate(made.id, overlap, actor)

    principal = (await find_digests(store.database, [digest]))[digest]
    if earlier == "key":
        assert principal.expires_at == made.expires_at
    else:
        assert principal.expires_at == pytest.approx(soon(overlap), abs=60)


async def test_key_that_cannot_be_read_does_not_harm_others(store, actor):
    broken, whole = key(), key()
    secrets = [await store.create(each, actor) for each in (broken, whole)]
    async with store.database.begin() as connection:
        await connection.execute(
            virtual_keys.update()
            .where(virtual_keys.c.id == broken.id)
            .values(terms='{"later": true}')
        )

    found = await find_digests(store.database, [store.digest(each) for each in secrets])
    assert [each.name for each in found.values()] == [whole.id]


class TestChanges:
    async def test_nothing_has_changed_in_an_empty_database(self, database):
        changes = await find_changes(database, 0)

        assert (changes.ids, changes.latest) == (frozenset(), 0)

    async def test_every_change_is_told_once(self, store, actor):
        made = [key(), key()]
        rename = partial(replace, name="other")
        latest = 0
        for act in (
            lambda: store.create(made[0], actor),
            lambda: store.create(made[1], actor),
            lambda: store.rotate(made[0].id, 60, actor),
            lambda: store.update(made[0].id, rename, actor),
            lambda: store.revoke(made[0].id, actor),
        ):
            await act()
            changes = await find_changes(store.database, latest)
            assert changes.ids is not None
            assert len(changes.ids) == 1
            assert changes.latest > latest
            latest = changes.latest

        assert (await find_changes(store.database, latest)).ids == frozenset()
        assert (await find_changes(store.database, 0)).ids == {each.id for each in made}

    async def test_clocks_may_differ(self, store, actor, monkeypatch):
        made = key()
        latest, now = 0, soon(0)
        for hours_ahead in (1, 0, -1, 1):
            clock = partial(operator.add, now, hours_ahead * 3600)
            monkeypatch.setattr("llm_proxy.security.key_store.time.time", clock)
            act = (
                store.rotate(made.id, 0, actor) if latest else store.create(made, actor)
            )
            await act
            changes = await find_changes(store.database, latest)
            assert changes.ids == {made.id}
            latest = changes.latest

    async def test_changes_at_the_same_time_are_numbered(
        self, store, actor, connect, database_url
    ):
        processes = [store, KeyStore(await connect(database_url), PEPPER)]
        made = [key() for _ in range(12)]
        await asyncio.gather(
            *(
                processes[number % 2].create(each, actor)
                for number, each in enumerate(made)
            )
        )

        async with store.database.read() as connection:
            numbers = await connection.scalars(sa.select(virtual_keys.c.changed_ms))
            assert len(set(numbers)) == 12

    async def test_burst_is_not_listed(self, database):
        await fill(database, 1001)
        changes = await find_changes(database, 0)
        assert (changes.ids, changes.latest) == (None, 1001)

        changes = await find_changes(database, 1)
        assert changes.ids is not None
        assert len(changes.ids) == 1000

    async def test_older_database_in_the_same_place_is_noticed(self, database):
        await fill(database, 3)

        changes = await find_changes(database, 4)
        assert (changes.ids, changes.latest) == (None, 3)


@pytest.fixture
def asked():
    """The statements that are sent to databases, with their parameters."""
    statements = []

    def note(_connection, _cursor, statement, parameters, *_: object) -> None:
        if statement.startswith("SELECT") and "version" not in statement:
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


async def test_cost_does_not_grow_with_the_keys(database, asked):
    await fill(database, MANY)
    async with database.begin() as connection:
        await connection.exec_driver_sql("ANALYZE")
    asked.clear()
    await find_digests(database, [f"{7:064x}"])
    await find_digests(database, [f"{each:064x}" for each in range(50)])
    await find_changes(database, MANY - 5)
    statements = [*asked]

    assert len(statements) == 4
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as connection:
        for statement, parameters in statements:
            plan = await connection.exec_driver_sql(
                f"{explain} {statement}", parameters
            )
            text = "\n".join(str(row[-1]) for row in plan)
            assert "INDEX" in text.upper()
            assert "SCAN virtual_keys" not in text
            assert "SCAN key_secrets" not in text
            assert "Seq Scan" not in text

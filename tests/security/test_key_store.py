import asyncio
import json
import time
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from tests.security.conftest import PEPPER
from tests.security.keys import FULL, key, soon

from llm_proxy.errors import InvalidInputError, NotFoundError
from llm_proxy.security.audit import Actor, AuditQuery, read
from llm_proxy.security.key_queries import find_digests
from llm_proxy.security.key_rows import write_moment
from llm_proxy.security.key_store import KeyFilter, KeyStore
from llm_proxy.security.key_text import is_well_formed
from llm_proxy.security.pepper import Pepper
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage.tables import key_secrets, virtual_keys

NOBODY = "key_0000000000000000"


async def callers(store, *secrets: str) -> list[str | None]:
    """By whom these secrets are used."""
    digests = [store.digest(secret) for secret in secrets]
    found = await find_digests(store.database, digests)
    return [getattr(found.get(each), "name", None) for each in digests]


async def entries(store) -> list[tuple[str, str]]:
    found = await read(store.database, AuditQuery())
    return [(entry.action, entry.subject) for entry in found]


async def texts(store) -> str:
    """All that the database holds."""
    async with store.database.read() as connection:
        tables = (virtual_keys, key_secrets)
        rows = [list(await connection.execute(sa.select(each))) for each in tables]
    return repr(rows) + repr(await read(store.database, AuditQuery()))


async def test_key_that_is_made_is_found(store, actor):
    secret = await store.create(FULL, actor)

    assert is_well_formed(secret)
    assert await callers(store, secret) == [FULL.id]
    assert await store.get(FULL.id) == FULL


async def test_secret_is_stored_nowhere(store, actor):
    made = key()
    secrets = [await store.create(made, actor), await store.rotate(made.id, 60, actor)]

    stored = await texts(store)
    for secret in secrets:
        assert secret not in stored
        assert secret[8:-6] not in stored
        assert store.digest(secret) in stored


async def test_another_pepper_finds_nothing(store, actor):
    secret = await store.create(key(), actor)
    other = KeyStore(
        store.database, Pepper(lambda: b"another pepper, also 32 bytes long")
    )

    assert await callers(other, secret) == [None]


async def test_key_that_may_not_be_is_not_stored(store, actor):
    with pytest.raises(InvalidInputError):
        await store.create(key(name="a\0b"), actor)

    assert await store.list_keys(KeyFilter()) == []
    assert await entries(store) == []


async def test_key_without_a_pepper_is_not_made(database, actor):
    def refuse() -> bytes:
        raise ConfigurationError("KEY_PEPPER: required")

    store = KeyStore(database, Pepper(refuse))

    with pytest.raises(ConfigurationError):
        await store.create(key(), actor)
    assert await store.list_keys(KeyFilter()) == []


async def test_rotated_key_has_two_secrets_for_a_while(store, actor):
    made = key(expires_at=soon(7200))
    old = await store.create(made, actor)
    new = await store.rotate(made.id, 600, actor)

    assert old != new
    assert await callers(store, old, new) == [made.id, made.id]
    digests = [store.digest(old), store.digest(new)]
    found = await find_digests(store.database, digests)
    assert found[digests[0]].expires_at == pytest.approx(time.time() + 600, abs=60)
    assert found[digests[1]].expires_at == made.expires_at


async def test_rotation_without_overlap_ends_the_old_secret(store, actor):
    made = key()
    old = await store.create(made, actor)
    new = await store.rotate(made.id, 0, actor)

    assert await callers(store, old, new) == [None, made.id]


async def test_rotation_never_prolongs_a_secret(store, actor):
    made = key()
    first = await store.create(made, actor)
    second = await store.rotate(made.id, 600, actor)
    await store.rotate(made.id, 86_400, actor)

    digests = [store.digest(first), store.digest(second)]
    found = await find_digests(store.database, digests)
    assert found[digests[0]].expires_at == pytest.approx(time.time() + 600, abs=60)
    assert found[digests[1]].expires_at == pytest.approx(time.time() + 86_400, abs=60)


async def test_ended_secrets_are_known_for_a_month(store, actor, monkeypatch):
    made = key()
    first = await store.create(made, actor)
    second = await store.rotate(made.id, 0, actor)
    third = await store.rotate(made.id, 0, actor)
    digests = [store.digest(secret) for secret in (first, second, third)]
    found = await find_digests(store.database, digests)
    assert [found[each] for each in digests[:2]] == [(made.id, "expired")] * 2

    later = time.time() + 30 * 86_400 + 1
    monkeypatch.setattr("llm_proxy.security.key_statements.time.time", lambda: later)
    await store.rotate(made.id, 0, actor)
    async with store.database.read() as connection:
        rows = await connection.scalars(sa.select(key_secrets.c.digest))
        assert not {*digests[:2]} & {*rows}


@pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, float("nan"), float("inf")])
async def test_overlap_is_bounded(store, actor, overlap):
    made = key()
    secret = await store.create(made, actor)

    with pytest.raises(InvalidInputError, match="overlap_seconds"):
        await store.rotate(made.id, overlap, actor)
    assert await callers(store, secret) == [made.id]


async def test_revoked_key_is_nobodys(store, actor):
    made = key()
    secrets = [await store.create(made, actor), await store.rotate(made.id, 60, actor)]

    revoked = await store.revoke(made.id, actor)

    assert revoked.revoked_at == pytest.approx(soon(0), abs=60)
    assert revoked == replace(made, revoked_at=revoked.revoked_at)
    assert await store.get(made.id) == revoked
    assert await callers(store, *secrets) == [None, None]


async def test_key_is_revoked_once(store, actor):
    made = key()
    await store.create(made, actor)

    first = await store.revoke(made.id, actor)
    second = await store.revoke(made.id, actor)

    assert second == first
    assert [action for action, _ in await entries(store)].count("key.revoke") == 1


async def test_ended_keys_are_not_rotated(store, actor):
    revoked, expired = key(), key(created_at=1.0, expires_at=2.0)
    for each in (revoked, expired):
        await store.create(each, actor)
    await store.revoke(revoked.id, actor)

    for each in (revoked, expired):
        with pytest.raises(InvalidInputError, match="revoked or has expired"):
            await store.rotate(each.id, 60, actor)


@pytest.mark.parametrize("key_id", [NOBODY, "", "\0", "\ud800", "' OR 1=1 --"])
async def test_no_key_has_other_ids(store, actor, key_id):
    assert await store.get(key_id) is None
    with pytest.raises(NotFoundError):
        await store.rotate(key_id, 0, actor)
    with pytest.raises(NotFoundError):
        await store.revoke(key_id, actor)
    assert await entries(store) == []


async def test_expired_key_is_nobodys_and_stays_listed(store, actor):
    expired = key(created_at=1.0, expires_at=2.0)
    secret = await store.create(expired, actor)

    assert await callers(store, secret) == [None]
    assert await store.list_keys(KeyFilter()) == [expired]


async def test_every_change_is_in_the_audit_log(store):
    actor = Actor("alice", "192.0.2.7", "req-7")
    await store.create(FULL, actor)
    await store.rotate(FULL.id, 60, actor)
    await store.revoke(FULL.id, actor)

    found = await read(store.database, AuditQuery())
    assert [entry.action for entry in reversed(found)] == [
        "key.create",
        "key.rotate",
        "key.revoke",
    ]
    assert {entry.actor for entry in found} == {actor}
    assert {entry.subject for entry in found} == {FULL.id}
    details = next(entry.details for entry in found if entry.action == "key.create")
    assert json.loads(json.dumps(details)) == details
    assert (details["team"], details["models"]) == ("red", [*FULL.models])


async def test_change_without_an_audit_row_is_none(store, actor, monkeypatch):
    made = key()
    secret = await store.create(made, actor)

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("llm_proxy.security.key_store.write", fail)
    other = key()
    with pytest.raises(ZeroDivisionError):
        await store.create(other, actor)
    with pytest.raises(ZeroDivisionError):
        await store.revoke(made.id, actor)
    with pytest.raises(ZeroDivisionError):
        await store.rotate(made.id, 0, actor)

    assert await store.get(other.id) is None
    assert await callers(store, secret) == [made.id]


async def test_listeners_hear_of_changes_that_are_durable(store, actor):
    heard = []
    store.subscribe(heard.append)
    made = key()

    await store.create(made, actor)
    await store.rotate(made.id, 0, actor)
    await store.revoke(made.id, actor)
    with pytest.raises(NotFoundError):
        await store.revoke(NOBODY, actor)

    assert heard == [made.id] * 3


@pytest.fixture
async def filled(store, actor) -> list[str]:
    """The ids of some keys, in their order."""
    owners = [("acme", "red"), ("acme", "blue"), ("other", "red"), ("", "")]
    made = [
        key(organisation=organisation, team=team, owner="anna", project=project)
        for organisation, team in owners
        for project in ("sheets", "mail")
    ]
    for each in made:
        await store.create(each, actor)
    return sorted(each.id for each in made)


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ({}, 8),
        ({"organisation": "acme"}, 4),
        ({"organisation": "acme", "team": "red"}, 2),
        ({"team": "red"}, 4),
        ({"organisation": ""}, 2),
        ({"project": "mail"}, 4),
        ({"owner": "anna"}, 8),
        ({"owner": "Anna"}, 0),
        ({"organisation": "a%"}, 0),
        ({"organisation": "\0"}, 0),
        ({"team": "\ud800"}, 0),
        ({"organisation": "' OR 1=1 --"}, 0),
    ],
)
@pytest.mark.usefixtures("filled")
async def test_filters_hold_at_once(store, conditions, count):
    found = await store.list_keys(KeyFilter(**conditions))

    assert len(found) == count
    for each in found:
        assert {name: getattr(each, name) for name in conditions} == conditions


async def test_pages_follow_each_other(store, filled):
    seen, after = [], ""
    while page := await store.list_keys(KeyFilter(), after, 3):
        seen += [each.id for each in page]
        after = page[-1].id

    assert seen == filled
    assert await store.list_keys(KeyFilter(), after="\0") == []


async def test_what_is_changed_is_stored_and_written_down(store, actor):
    await store.create(FULL, actor)
    changes = {"name": "other", "models": None, "expires_at": soon(), "tags": FULL.tags}

    changed = await store.update(FULL.id, partial(replace, **changes), actor)

    assert changed == replace(FULL, **changes) == await store.get(FULL.id)
    [entry, _] = await read(store.database, AuditQuery())
    assert (entry.action, entry.subject) == ("key.update", FULL.id)
    del changes["tags"]
    assert entry.details == changes | {"expires_at": write_moment(changed.expires_at)}


async def test_change_that_changes_nothing_is_none(store, actor):
    await store.create(FULL, actor)

    assert await store.update(FULL.id, replace, actor) == FULL
    assert len(await entries(store)) == 1


async def test_changes_at_the_same_time_do_not_undo_each_other(
    store, actor, connect, database_url
):
    made = key()
    await store.create(made, actor)
    processes = [store, KeyStore(await connect(database_url), PEPPER)]

    def tag(word):
        return lambda key: replace(key, tags=(*key.tags, word))

    await asyncio.gather(
        *(
            processes[number % 2].update(made.id, tag(f"tag-{number}"), actor)
            for number in range(8)
        )
    )

    changed = await store.get(made.id)
    assert sorted(changed.tags) == [f"tag-{number}" for number in range(8)]


async def test_key_that_has_ended_is_not_changed(store, actor):
    expired, revoked = key(created_at=1.0, expires_at=2.0), key()
    for each in (expired, revoked):
        await store.create(each, actor)
    await store.revoke(revoked.id, actor)

    for each in (expired, revoked):
        with pytest.raises(InvalidInputError, match="revoked or has expired"):
            await store.update(each.id, partial(replace, expires_at=soon()), actor)
    with pytest.raises(NotFoundError):
        await store.update(NOBODY, partial(replace, name="other"), actor)


async def test_key_is_not_changed_into_one_that_may_not_be(store, actor):
    made = key()
    await store.create(made, actor)

    with pytest.raises(InvalidInputError, match="name"):
        await store.update(made.id, partial(replace, name="a\0b"), actor)
    assert await store.get(made.id) == made

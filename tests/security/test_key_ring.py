import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import psutil
import pytest
from tests.security.conftest import PEPPER
from tests.security.keys import key, soon

from llm_proxy.errors import InternalError, StorageUnavailableError
from llm_proxy.security.key_queries import find_digests
from llm_proxy.security.key_ring import KeyRing
from llm_proxy.security.key_store import KeyStore
from llm_proxy.security.key_text import new_secret
from llm_proxy.security.pepper import Pepper
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage import Database, upgrade
from llm_proxy.storage.tables import virtual_keys
from llm_proxy.types import Principal


class Fickle(Database):
    """A real database that a test can take away, or hold up.

    Attributes:
        is_down: Whether it is away.
        reads: How many transactions that read have begun.
        lets: What has been read is handed on only when it is set.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_down = False
        self.reads = 0
        self.lets = asyncio.Event()
        self.lets.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator:
        self.reads += 1
        if self.is_down:
            raise StorageUnavailableError(log_detail="taken away")
        async with super().read() as connection:
            yield connection
        await self.lets.wait()


@pytest.fixture
async def fickle(tmp_path) -> AsyncIterator[Fickle]:
    database = Fickle(f"sqlite:///{tmp_path}/keys.db")
    await database.open()
    await upgrade(database)
    yield database
    await database.aclose()


@pytest.fixture
def elsewhere(fickle) -> KeyStore:
    """The keys as another process sees them, which tells nobody what it does."""
    return KeyStore(fickle, PEPPER)


@pytest.fixture
async def open_ring(fickle) -> AsyncIterator:
    """Opens rings, and closes them after the test."""
    rings = []

    async def open_ring(store: KeyStore | None = None, **options: float) -> KeyRing:
        given = {"grace_seconds": 3600, "poll_seconds": 0.02, **options}
        ring = KeyRing(store or KeyStore(fickle, PEPPER), **given)
        await ring.open()
        rings.append(ring)
        return ring

    yield open_ring
    for ring in rings:
        await ring.aclose()


async def until(is_true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "it has not come true"
        await asyncio.sleep(0.01)


async def until_found(find) -> None:
    """Waits until a look-up finds somebody, whatever it says before."""
    end = time.monotonic() + 60
    found = None
    while found is None:
        assert time.monotonic() < end, "nobody is found"
        with suppress(StorageUnavailableError):
            found = await find()
        await asyncio.sleep(0.01)


async def refused(*found) -> int:
    """How many of these look-ups said that they could not find out."""
    results = await asyncio.gather(*found, return_exceptions=True)
    assert all(isinstance(each, StorageUnavailableError) for each in results)
    return len(results)


class TestFinding:
    async def test_known_keys_are_not_asked_for_again(
        self, open_ring, elsewhere, actor, fickle
    ):
        ring = await open_ring(poll_seconds=60)
        made = key()
        secret = await elsewhere.create(made, actor)
        assert ring.cached(secret) is None

        assert await ring.find(secret) == made.principal

        before = fickle.reads
        assert await ring.find(secret) == made.principal
        assert ring.cached(secret) == made.principal
        assert fickle.reads == before

    @pytest.mark.parametrize(
        "text",
        ["", "sk-llmp-", new_secret()[:-1] + "!", "\ud800" * 57, "a" * 10**6],
        ids=["empty", "prefix", "wrong end", "surrogates", "long"],
    )
    async def test_mistyped_secrets_ask_nobody(self, open_ring, fickle, text):
        ring = await open_ring(poll_seconds=60)
        before = fickle.reads
        fickle.is_down = True

        assert ring.cached(text) is None
        assert await ring.find(text) is None
        assert fickle.reads == before

    async def test_crowd_asks_once(self, open_ring, elsewhere, actor, fickle):
        ring = await open_ring(poll_seconds=60)
        made = key()
        secret = await elsewhere.create(made, actor)
        before = fickle.reads

        found = await asyncio.gather(*(ring.find(secret) for _ in range(200)))

        assert found == [made.principal] * 200
        assert fickle.reads == before + 1

    async def test_unknown_secrets_are_remembered(self, open_ring, fickle):
        ring = await open_ring(poll_seconds=60)
        secret = new_secret()
        before = fickle.reads

        for _ in range(3):
            assert await ring.find(secret) is None
        assert fickle.reads == before + 1

    async def test_flood_of_unknown_secrets_takes_few_queries(self, open_ring, fickle):
        ring = await open_ring(poll_seconds=60)
        before = fickle.reads
        secrets = [new_secret() for _ in range(3000)]

        found = await asyncio.gather(*(ring.find(each) for each in secrets))

        assert set(found) == {None}
        assert fickle.reads - before <= 8

    async def test_who_is_known_by_a_secret_is_known_without_it(
        self, open_ring, elsewhere, actor, fickle
    ):
        ring = await open_ring(poll_seconds=60)
        made = key()
        secret = await elsewhere.create(made, actor)
        credential = (await ring.find(secret)).credential

        before = fickle.reads
        assert await ring.find_by_credential(credential) == made.principal
        assert fickle.reads == before
        assert await ring.find_by_credential("0" * 64) is None
        assert credential != secret

    async def test_least_used_key_is_forgotten_first(self, open_ring, elsewhere, actor):
        ring = await open_ring(max_keys=2, poll_seconds=60)
        secrets = [await elsewhere.create(key(), actor) for _ in range(3)]
        await ring.find(secrets[0])
        await ring.find(secrets[1])
        ring.cached(secrets[0])
        await ring.find(secrets[2])

        known = [ring.cached(secret) is not None for secret in secrets]
        assert known == [True, False, True]

    async def test_missing_pepper_is_the_operators_mistake(self, open_ring, fickle):
        def refuse() -> bytes:
            raise ConfigurationError("KEY_PEPPER: required")

        ring = await open_ring(KeyStore(fickle, Pepper(refuse)))

        with pytest.raises(InternalError) as caught:
            await ring.find(new_secret())
        assert caught.value.log_detail == "KEY_PEPPER: required"
        with pytest.raises(InternalError):
            ring.cached(new_secret())


class TestEnding:
    async def test_key_ends_by_itself(
        self, open_ring, elsewhere, actor, monkeypatch, fickle
    ):
        ring = await open_ring(poll_seconds=60)
        made = key(expires_at=soon())
        secret = await elsewhere.create(made, actor)
        credential = (await ring.find(secret)).credential

        monkeypatch.setattr(
            "llm_proxy.security.key_ring.time.time", lambda: made.expires_at
        )
        fickle.is_down = True
        assert ring.cached(secret) is None
        assert await ring.find(secret) is None
        assert await ring.find_by_credential(credential) is None

    async def test_rotated_secret_ends_by_itself(
        self, open_ring, elsewhere, actor, monkeypatch
    ):
        ring = await open_ring(poll_seconds=60)
        made = key()
        old = await elsewhere.create(made, actor)
        new = await elsewhere.rotate(made.id, 600, actor)
        assert await ring.find(old) is not None
        assert await ring.find(new) is not None

        later = time.time() + 601
        monkeypatch.setattr("llm_proxy.security.key_ring.time.time", lambda: later)
        assert await ring.find(old) is None
        assert await ring.find(new) is not None

    async def test_of_which_key_a_refused_secret_is_is_known(
        self, open_ring, elsewhere, actor, monkeypatch
    ):
        ring = await open_ring(poll_seconds=60)
        made, revoked, other = key(expires_at=soon()), key(), key()
        ending = await elsewhere.create(made, actor)
        taken = await elsewhere.create(revoked, actor)
        replaced = await elsewhere.create(other, actor)
        await elsewhere.revoke(revoked.id, actor)
        await elsewhere.rotate(other.id, 600, actor)
        assert await ring.find(ending) is not None
        assert ring.find_ended(ending) is None
        assert ring.find_ended(taken) is None

        monkeypatch.setattr(
            "llm_proxy.security.key_ring.time.time", lambda: made.expires_at
        )
        nobodys = new_secret()
        for secret in (ending, taken, replaced, nobodys, "x"):
            assert await ring.find(secret) is None
        assert ring.find_ended(ending) == (made.id, "expired")
        assert ring.find_ended(taken) == (revoked.id, "revoked")
        assert ring.find_ended(replaced) == (other.id, "expired")
        assert ring.find_ended(nobodys) is None
        assert ring.find_ended("x") is None

    @pytest.mark.parametrize("change", ["revoke", "rotate"])
    async def test_change_in_this_process_counts_at_once(
        self, open_ring, fickle, actor, change
    ):
        store = KeyStore(fickle, PEPPER)
        ring = await open_ring(store, poll_seconds=60)
        made = key()
        secret = await store.create(made, actor)
        credential = (await ring.find(secret)).credential

        if change == "revoke":
            await store.revoke(made.id, actor)
        else:
            await store.rotate(made.id, 0, actor)

        assert ring.cached(secret) is None
        assert await ring.find(secret) is None
        assert await ring.find_by_credential(credential) is None

    async def test_change_elsewhere_is_noticed(self, open_ring, elsewhere, actor):
        made, other = key(), key()
        secret = await elsewhere.create(made, actor)
        kept = await elsewhere.create(other, actor)
        ring = await open_ring()
        assert await ring.find(secret) is not None
        assert await ring.find(kept) is not None

        await elsewhere.revoke(made.id, actor)

        await until(lambda: ring.cached(secret) is None)
        assert await ring.find(secret) is None
        assert ring.cached(kept) is not None

    async def test_what_others_say_of_a_key_is_noticed(
        self, open_ring, elsewhere, actor
    ):
        made = key(models=("openai/*",))
        secret = await elsewhere.create(made, actor)
        ring = await open_ring()
        assert await ring.find(secret) == made.principal

        changed = await elsewhere.update(made.id, partial(replace, models=None), actor)

        await until(lambda: ring.cached(secret) != made.principal)
        assert await ring.find(secret) == changed.principal != made.principal

    @pytest.mark.parametrize("change", ["elsewhere", "here", "burst"])
    async def test_what_has_changed_is_read_anew_before_the_database_goes(
        self, open_ring, elsewhere, actor, fickle, change
    ):
        store = KeyStore(fickle, PEPPER)
        ring = await open_ring(store)
        made, revoked = key(), key()
        secret = await elsewhere.create(made, actor)
        taken = await elsewhere.create(revoked, actor)
        assert await ring.find(secret) == made.principal
        assert await ring.find(taken) == revoked.principal

        changer = elsewhere if change == "elsewhere" else store
        await changer.revoke(revoked.id, actor)
        changed = await changer.update(made.id, partial(replace, project="p"), actor)
        if change == "burst":
            async with fickle.begin() as connection:
                rows = [_row(number) for number in range(1001)]
                await connection.execute(virtual_keys.insert(), rows)
        # Nobody asks for it meanwhile.
        await until(lambda: ring.cached(secret) == changed.principal)
        assert await ring.find(taken) is None

        fickle.is_down = True
        assert await refused(ring.find(new_secret())) == 1
        assert await ring.find(secret) == changed.principal
        assert ring.cached(taken) is None
        assert ring.find_ended(taken) == (revoked.id, "revoked")

    async def test_what_could_not_be_read_anew_is_gone_until_it_can(
        self, open_ring, elsewhere, actor, fickle, monkeypatch
    ):
        made, revoked = key(), key()
        secret = await elsewhere.create(made, actor)
        taken = await elsewhere.create(revoked, actor)
        ring = await open_ring()
        await ring.find(secret)
        await ring.find(taken)

        async def fail(*_: object) -> None:
            raise StorageUnavailableError(log_detail="hangs")

        with monkeypatch.context() as patched:
            patched.setattr("llm_proxy.security.key_ring.find_digests", fail)
            await elsewhere.revoke(revoked.id, actor)
            await elsewhere.update(made.id, partial(replace, project="p"), actor)
            await until(lambda: ring.cached(taken) is None)
            await until(lambda: ring.cached(secret) is None)
            assert await refused(ring.find(secret), ring.find(taken)) == 2

        await until(lambda: ring.cached(secret) is not None)
        assert ring.cached(taken) is None

    async def test_burst_of_changes_forgets_all(
        self, open_ring, elsewhere, actor, fickle
    ):
        made = key()
        secret = await elsewhere.create(made, actor)
        ring = await open_ring()
        assert await ring.find(secret) is not None

        async with fickle.begin() as connection:
            rows = [_row(number) for number in range(1001)]
            await connection.execute(virtual_keys.insert(), rows)
            await connection.execute(virtual_keys.update().values(project="p"))

        await until(lambda: ring.cached(secret) != made.principal)
        assert (await ring.find(secret)).project == "p"

    async def test_answer_that_a_change_has_overtaken_is_not_kept(
        self, open_ring, fickle, actor
    ):
        store = KeyStore(fickle, PEPPER)
        ring = await open_ring(store, poll_seconds=60)
        made = key()
        secret = await store.create(made, actor)
        fickle.lets.clear()
        finding = asyncio.ensure_future(ring.find(secret))
        before = fickle.reads
        await until(lambda: fickle.reads > before)
        await asyncio.sleep(0.05)

        await store.revoke(made.id, actor)
        fickle.lets.set()

        assert await finding is None
        assert ring.cached(secret) is None

    async def test_answers_that_changes_keep_overtaking_are_given_and_not_kept(
        self, open_ring, elsewhere, actor, monkeypatch
    ):
        made = key()
        secret = await elsewhere.create(made, actor)
        asked = []

        async def find_late(*arguments: object) -> dict[str, Principal]:
            found = await find_digests(*arguments)
            asked.append(1)
            ring.forget(made.id)
            return found

        monkeypatch.setattr("llm_proxy.security.key_ring.find_digests", find_late)
        ring = await open_ring(poll_seconds=60)

        assert await ring.find(secret) == made.principal
        assert ring.cached(secret) is None
        assert len(asked) == 3

    async def test_new_secret_is_known_though_it_was_asked_for(
        self, open_ring, elsewhere, actor, monkeypatch
    ):
        ring = await open_ring()
        secret = new_secret()
        assert await ring.find(secret) is None

        monkeypatch.setattr("llm_proxy.security.key_store.new_secret", lambda: secret)
        await elsewhere.create(key(), actor)

        await until_found(partial(ring.find, secret))


def _row(number: int) -> dict[str, object]:
    names = ("name", "organisation", "team", "owner", "project", "role", "created_by")
    return {
        "id": f"key_{number:016x}",
        "terms": "{}",
        "created_ms": 1,
        "changed_ms": 3_000_000_000_000 + number,
        **dict.fromkeys(names, "burst"),
    }


class TestTrouble:
    async def test_known_keys_work_while_the_database_is_away(
        self, open_ring, elsewhere, actor, fickle
    ):
        made = key()
        secrets = [await elsewhere.create(each, actor) for each in (made, key())]
        ring = await open_ring()
        assert await ring.find(secrets[0]) is not None

        fickle.is_down = True
        assert await refused(ring.find(secrets[1]), ring.find(new_secret())) == 2
        assert await ring.find(secrets[0]) == made.principal
        assert ring.cached(secrets[0]) == made.principal

        fickle.is_down = False
        await until_found(partial(ring.find, secrets[1]))
        assert await ring.find(new_secret()) is None

    async def test_nothing_is_said_about_unknown_ones(self, open_ring, fickle):
        ring = await open_ring()
        secret = new_secret()
        assert await ring.find(secret) is None

        fickle.is_down = True
        assert await refused(ring.find(new_secret())) == 1
        assert await refused(ring.find(secret)) == 1

    async def test_trouble_is_told_at_once(self, open_ring, fickle):
        ring = await open_ring(poll_seconds=60)
        fickle.is_down = True
        assert await refused(ring.find(new_secret())) == 1
        before = fickle.reads

        assert await refused(*(ring.find(new_secret()) for _ in range(100))) == 100
        assert fickle.reads == before

    @pytest.mark.parametrize("grace", [0, 0.15])
    async def test_known_keys_work_for_the_stated_time(
        self, open_ring, elsewhere, actor, fickle, grace
    ):
        secret = await elsewhere.create(key(), actor)
        ring = await open_ring(grace_seconds=grace)
        assert await ring.find(secret) is not None
        assert ring.cached(secret) is not None

        fickle.is_down = True
        await until(lambda: ring.cached(secret) is None)
        assert await refused(ring.find(secret)) == 1

        fickle.is_down = False
        await until(lambda: ring.cached(secret) is not None)

    async def test_change_during_the_trouble_is_noticed_afterwards(
        self, open_ring, elsewhere, actor, fickle
    ):
        made = key()
        secret = await elsewhere.create(made, actor)
        ring = await open_ring()
        assert await ring.find(secret) is not None
        fickle.is_down = True
        assert await refused(ring.find(new_secret())) == 1

        other = Database(f"sqlite:///{fickle._address.path}")
        await KeyStore(other, PEPPER).revoke(made.id, actor)
        await other.aclose()
        assert ring.cached(secret) is not None

        fickle.is_down = False
        await until(lambda: ring.cached(secret) is None)
        assert await ring.find(secret) is None

    async def test_database_may_come_after_the_ring(
        self, open_ring, elsewhere, actor, fickle
    ):
        secret = await elsewhere.create(key(), actor)
        fickle.is_down = True
        ring = await open_ring()
        assert await refused(ring.find(secret)) == 1

        fickle.is_down = False
        await until_found(partial(ring.find, secret))

    async def test_watch_survives_what_nobody_has_thought_of(
        self, open_ring, elsewhere, actor, fickle, monkeypatch
    ):
        made = key()
        secret = await elsewhere.create(made, actor)
        ring = await open_ring()
        assert await ring.find(secret) is not None
        calls = []

        async def fail(*_: object) -> None:
            calls.append(1)
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr("llm_proxy.security.key_ring.find_changes", fail)
            await until(lambda: len(calls) > 1)
            assert await refused(ring.find(new_secret())) == 1
        await elsewhere.revoke(made.id, actor)

        await until(lambda: ring.cached(secret) is None)
        assert await ring.find(secret) is None

    async def test_who_waits_at_the_end_is_told(self, open_ring, fickle):
        ring = await open_ring(poll_seconds=60)
        fickle.lets.clear()
        waiting = [
            asyncio.ensure_future(ring.find(new_secret())),
            asyncio.ensure_future(ring.find_by_credential("0" * 64)),
        ]
        await asyncio.sleep(0.05)

        await ring.aclose()

        assert await refused(*waiting) == 2

    async def test_ring_that_was_never_opened_can_be_closed(self, elsewhere):
        await KeyRing(elsewhere, grace_seconds=1).aclose()


@pytest.mark.integration
class TestPostgres:
    @pytest.fixture
    async def shared(self, postgres_url, connect) -> Database:
        database = await connect(postgres_url, 5.0)
        await upgrade(database)
        return database

    async def test_server_that_stops_is_503_and_never_401(
        self, shared, postgres, open_ring, actor
    ):
        store = KeyStore(shared, PEPPER)
        made = key()
        known, other = [await store.create(each, actor) for each in (made, key())]
        ring = await open_ring(store)
        assert await ring.find(known) == made.principal

        await asyncio.to_thread(postgres.stop)
        try:
            async with asyncio.timeout(10):
                for _ in range(20):
                    assert await ring.find(known) == made.principal
                    assert await refused(ring.find(other), ring.find(new_secret()))
        finally:
            await asyncio.to_thread(postgres.start)

        await until_found(partial(ring.find, other))
        assert await ring.find(new_secret()) is None

    async def test_silent_server_is_waited_for_once(
        self, shared, postgres, open_ring, actor
    ):
        store = KeyStore(shared, PEPPER)
        made = key()
        known = await store.create(made, actor)
        ring = await open_ring(store)
        assert await ring.find(known) == made.principal
        server = psutil.Process(postgres.pid)
        processes = [server, *server.children(recursive=True)]

        for process in processes:
            process.suspend()
        try:
            async with asyncio.timeout(30):
                assert await refused(*(ring.find(new_secret()) for _ in range(50)))
                assert await refused(*(ring.find(new_secret()) for _ in range(50)))
                assert await ring.find(known) == made.principal
        finally:
            for process in processes:
                process.resume()

        await until_found(partial(ring.find, known))

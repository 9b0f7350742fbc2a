"""The audit log over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.storage import Database

PATH = "/api/v1/audit"
KEYS = "/api/v1/keys"


@pytest.fixture
def entries(managed):
    """Reads the log."""

    async def entries(**query):
        return (await managed.get(PATH, params=query)).json()["data"]

    return entries


class TestWhatIsThere:
    async def test_every_change_is(self, managed, make_key, entries):
        key = await make_key()
        path = f"{KEYS}/{key['id']}"
        await managed.post(f"{path}/rotate", json={"overlap_seconds": 60})
        await managed.delete(path)
        found = await entries()
        assert [entry["action"] for entry in found] == [
            "key.revoke",
            "key.rotate",
            "key.create",
        ]
        assert {entry["subject"] for entry in found} == {key["id"]}
        assert found[1]["details"] == {"overlap_seconds": 60}

    async def test_it_is_said_who_when_and_from_where(self, managed, client, entries):
        calls = client(managed.app, address="192.0.2.7")
        answer = await calls.post(
            KEYS, json={"name": "n"}, headers={"x-request-id": "deploy-42"}
        )
        [entry] = await entries()
        assert (entry["actor"], entry["client_ip"], entry["request_id"]) == (
            "default",
            "192.0.2.7",
            "deploy-42",
        )
        assert entry["subject"] == answer.json()["data"]["id"]
        at = datetime.fromisoformat(entry["at"])
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("method", "path", "action", "subject"),
        [
            ("POST", KEYS, "key.create", ""),
            ("GET", KEYS, "key.list", ""),
            ("GET", f"{KEYS}/key_1", "key.read", "key_1"),
            ("POST", f"{KEYS}/key_1/rotate", "key.rotate", "key_1"),
            ("DELETE", f"{KEYS}/key_1", "key.revoke", "key_1"),
            ("GET", PATH, "audit.read", ""),
            ("DELETE", "/api/v1/cache", "cache.purge", ""),
        ],
    )
    async def test_so_is_what_was_refused(
        self, make_key, caller, entries, method, path, action, subject
    ):
        key = await make_key(role="viewer")
        assert (await caller(key).request(method, path)).status_code == 403
        [entry] = await entries(action=f"{action}.refused")
        assert (entry["actor"], entry["subject"]) == (key["id"], subject)
        assert entry["details"]["details"]["reason"] == "scope"

    async def test_so_is_a_grant_of_too_much(self, make_key, caller, entries):
        admin = await make_key(role="admin", surfaces=["chat"])
        answer = await caller(admin).post(KEYS, json={"name": "n"})
        assert answer.status_code == 403
        [entry] = await entries(action="key.create.refused")
        assert entry["actor"] == admin["id"]
        assert "surfaces" in entry["details"]["message"]

    async def test_so_is_a_call_from_elsewhere(self, make_key, caller, entries):
        admin = await make_key(role="admin", networks=["10.0.0.0/8"])
        calls = caller(admin, address="192.0.2.7")
        assert (await calls.get(KEYS)).status_code == 403
        [entry] = await entries(action="key.list.refused")
        assert (entry["actor"], entry["client_ip"]) == (admin["id"], "192.0.2.7")

    async def test_strangers_leave_nothing(self, managed, client, entries):
        calls = client(managed.app, headers={"x-api-token": "wrong"})
        assert (await calls.get(KEYS)).status_code == 401
        assert await entries() == []

    async def test_who_is_refused_is_refused_without_the_log(
        self, make_key, caller, logs, monkeypatch
    ):
        calls = caller(await make_key(role="viewer"))
        assert (await calls.get(KEYS)).status_code == 403

        def begin(self):
            raise StorageUnavailableError

        monkeypatch.setattr(Database, "begin", begin)
        assert (await calls.post(KEYS, json={"name": "n"})).status_code == 403
        [line] = logs("not_audited")
        assert (line["level"], line["action"]) == ("warn", "key.create.refused")


class TestReading:
    async def test_it_is_read_page_by_page(self, managed, make_key):
        made = [(await make_key())["id"] for _ in range(5)][::-1]
        pages, query = [], {"limit": 2}
        while query.get("before", "") is not None:
            body = (await managed.get(PATH, params=query)).json()
            pages.append([entry["subject"] for entry in body["data"]])
            query["before"] = body["meta"]["next"]
        assert pages == [made[:2], made[2:4], made[4:]]

    async def test_filters_are_combined(self, managed, make_key, entries):
        admin = await make_key(role="admin")
        key = await make_key(by=admin)
        await make_key()
        await managed.delete(f"{KEYS}/{key['id']}")
        [entry] = await entries(actor=admin["id"], action="key.create")
        assert entry["subject"] == key["id"]
        [entry] = await entries(action="key.revoke", subject=key["id"])
        assert entry["actor"] == "default"
        assert await entries(actor=admin["id"], action="key.revoke") == []

    @pytest.mark.parametrize("role", ["operator", "developer", "viewer"])
    async def test_only_admins_may(self, make_key, caller, role):
        key = await make_key(role=role)
        assert (await caller(key).get(PATH)).status_code == 403

    async def test_an_organisation_reads_of_its_own_keys(self, make_key, caller):
        theirs = await make_key(organisation="globex")
        admin = await make_key(organisation="acme", role="admin")
        key = await make_key(by=admin)
        calls = caller(admin)
        answer = await calls.get(PATH, params={"subject": key["id"]})
        [entry] = answer.json()["data"]
        assert entry["actor"] == admin["id"]
        for query in ({}, {"subject": theirs["id"]}, {"actor": theirs["id"]}):
            answer = await calls.get(PATH, params=query)
            assert answer.status_code == 403
            assert "?subject=key_" in answer.json()["error"]["message"]
            assert answer.json()["error"]["details"] == {"reason": "subject"}

    async def test_who_has_keys_of_one_owner_reads_of_them(self, make_key, caller):
        anna = await make_key(role="admin", owner="anna", scopes=["audit:read"])
        own, bobs = await make_key(owner="anna"), await make_key(owner="bob")
        calls = caller(anna)
        for key, status in ((own, 200), (bobs, 403)):
            answer = await calls.get(PATH, params={"subject": key["id"]})
            assert answer.status_code == status
        assert (await calls.get(PATH)).status_code == 403

    @pytest.mark.parametrize(
        ("query", "field"), [("limit=0", "limit"), ("who=me", "who")]
    )
    async def test_wrong_parameters_are_named(self, managed, query, field):
        answer = await managed.get(f"{PATH}?{query}")
        assert answer.status_code == 400
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == field

    async def test_without_a_database_there_is_none(self, client):
        answer = await client(database_url="off").get(PATH)
        assert answer.status_code == 404
        assert "DATABASE_URL" in answer.json()["error"]["message"]

"""Cached answers are forgotten on demand."""

import pytest

PATH = "/api/v1/cache"


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"cache_policy": "all"}


@pytest.fixture
def ask(caller, upstream):
    """Asks the same with several keys, and tells which of them had to wait."""

    async def ask(*keys):
        asked = []
        for key in keys:
            before = len(upstream.sent)
            assert (await caller(key).chat()).status_code == 200
            asked.append(len(upstream.sent) > before)
        return asked

    return ask


class TestPurge:
    @pytest.mark.parametrize(
        ("only", "asked"), [(None, [True, True]), (0, [True, False])]
    )
    async def test_answers_of_all_or_of_one_are_forgotten(
        self, managed, make_key, ask, only, asked
    ):
        keys = [await make_key(), await make_key()]
        assert await ask(*keys, *keys) == [True, True, False, False]
        query = {} if only is None else {"tenant": keys[only]["id"]}
        answer = await managed.delete(PATH, params=query)
        assert answer.status_code == 200
        assert answer.json() == {
            "data": {"purged": sum(asked)},
            "meta": {"requestId": answer.headers["x-request-id"]},
        }
        assert await ask(*keys) == asked
        audit = await managed.get("/api/v1/audit", params={"action": "cache.purge"})
        [entry] = audit.json()["data"]
        assert entry["subject"] == query.get("tenant", "")

    @pytest.mark.parametrize(
        ("role", "status"), [("operator", 200), ("developer", 403), ("viewer", 403)]
    )
    async def test_operators_may(self, make_key, caller, role, status):
        key = await make_key(role=role)
        assert (await caller(key).delete(PATH)).status_code == status

    async def test_an_organisation_forgets_its_own(self, make_key, caller, ask):
        theirs = await make_key(organisation="globex")
        ours = await make_key(organisation="acme")
        operator = await make_key(organisation="acme", role="operator")
        await ask(theirs, ours, operator)
        calls = caller(operator)
        for query in ({}, {"tenant": theirs["id"]}, {"tenant": "default"}):
            assert (await calls.delete(PATH, params=query)).status_code == 403
        for key in (operator, ours):
            answer = await calls.delete(PATH, params={"tenant": key["id"]})
            assert answer.json()["data"] == {"purged": 1}
        assert await ask(theirs, ours, operator) == [False, True, True]

    async def test_wrong_parameters_are_named(self, managed):
        answer = await managed.delete(f"{PATH}?tenants=a")
        assert answer.status_code == 400
        assert "tenants" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("overrides", [{}])
    async def test_without_a_cache_there_is_nothing_to_forget(self, managed):
        answer = await managed.delete(PATH)
        assert answer.status_code == 404
        assert "CACHE_POLICY" in answer.json()["error"]["message"]

    async def test_without_a_database_the_log_says_so(self, client, logs):
        calls = client(database_url="off", cache_policy="all")
        assert (await calls.delete(PATH)).status_code == 200
        [line] = logs("not_audited")
        assert line["action"] == "cache.purge"

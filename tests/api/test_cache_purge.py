"""Cached answers are forgotten on demand."""

import pytest

PATH = "/api/v1/cache"


class Cache:
    """Remembers what was to be forgotten."""

    def __init__(self) -> None:
        self.purged: list[str | None] = []

    async def purge(self, tenant: str | None) -> int:
        self.purged.append(tenant)
        return 3


@pytest.fixture
def cache(managed) -> Cache:
    managed.app.state.cache = Cache()
    return managed.app.state.cache


class TestPurge:
    @pytest.mark.parametrize("tenant", [None, "alice"])
    async def test_answers_of_all_or_of_one_are_forgotten(self, managed, cache, tenant):
        query = {} if tenant is None else {"tenant": tenant}
        answer = await managed.delete(PATH, params=query)
        assert answer.status_code == 200
        assert answer.json() == {
            "data": {"purged": 3},
            "meta": {"requestId": answer.headers["x-request-id"]},
        }
        assert cache.purged == [tenant]
        [entry] = (await managed.get("/api/v1/audit")).json()["data"]
        assert (entry["action"], entry["subject"]) == ("cache.purge", tenant or "")

    @pytest.mark.parametrize(
        ("role", "status"), [("operator", 200), ("developer", 403), ("viewer", 403)]
    )
    async def test_operators_may(self, make_key, caller, cache, role, status):
        key = await make_key(role=role)
        assert (await caller(key).delete(PATH)).status_code == status
        assert cache.purged == ([None] if status == 200 else [])

    async def test_an_organisation_forgets_its_own(self, make_key, caller, cache):
        theirs = await make_key(organisation="globex")
        ours = await make_key(organisation="acme")
        operator = await make_key(organisation="acme", role="operator")
        calls = caller(operator)
        for key in (operator, ours):
            answer = await calls.delete(PATH, params={"tenant": key["id"]})
            assert answer.status_code == 200
        for query in ({}, {"tenant": theirs["id"]}, {"tenant": "default"}):
            assert (await calls.delete(PATH, params=query)).status_code == 403
        assert cache.purged == [operator["id"], ours["id"]]

    async def test_wrong_parameters_are_named(self, managed, cache):
        answer = await managed.delete(f"{PATH}?tenants=a")
        assert answer.status_code == 400
        assert cache.purged == []

    async def test_without_a_cache_there_is_nothing_to_forget(self, managed):
        answer = await managed.delete(PATH)
        assert answer.status_code == 404
        assert "CACHE_POLICY" in answer.json()["error"]["message"]

    async def test_without_a_database_the_log_says_so(self, build, client, logs):
        app = build(database_url="off")
        app.state.cache = Cache()
        assert (await client(app).delete(PATH)).status_code == 200
        [line] = logs("not_audited")
        assert line["action"] == "cache.purge"

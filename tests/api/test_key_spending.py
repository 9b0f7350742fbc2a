"""Virtual keys over HTTP: what they have spent of their budgets."""

from datetime import UTC, datetime

import pytest
from tests.ledger.rows import row

from llm_proxy.storage import ledger

PATH = "/api/v1/keys"
SELF = f"{PATH}/self"
BUDGETS = {"day": 1, "month": "20", "total": "0.25"}


@pytest.fixture
def spend(managed):
    """Puts calls of a key into the ledger."""

    async def spend(key, nanos, day=None):
        at = f"{day or datetime.now(UTC).date().isoformat()} 00:00"
        rows = [row(at, principal=key["id"], cost_nanos=nanos)]
        async with managed.app.state.books.database.begin() as connection:
            await connection.execute(ledger.insert(), rows)

    return spend


async def test_a_key_is_shown_with_what_it_has_spent(managed, make_key, caller, spend):
    key = await make_key(role="viewer", allowance={"budgets": BUDGETS})
    await spend(key, 150_000_000)
    await spend(key, 150_000_001, day="2020-02-29")
    await spend(await make_key(), 7)

    answers = [
        await managed.get(f"{PATH}/{key['id']}"),
        await caller(key).get(SELF),
    ]
    for answer in answers:
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert (data["id"], data["role"]) == (key["id"], "viewer")
        assert "secret" not in data
        assert data["budgets"] == [
            {"period": "day", "limit": "1", "spent": "0.15", "remaining": "0.85"},
            {"period": "month", "limit": "20", "spent": "0.15", "remaining": "19.85"},
            {
                "period": "total",
                "limit": "0.25",
                "spent": "0.300000001",
                "remaining": "0",
            },
        ]


async def test_a_key_without_budgets_has_none(make_key, caller):
    key = await make_key()
    assert (await caller(key).get(SELF)).json()["data"]["budgets"] == []


async def test_who_has_no_key_is_shown_none(managed):
    answer = await managed.get(SELF)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "You do not use a virtual key"


async def test_a_key_may_be_kept_from_it(make_key, caller):
    key = await make_key(scopes=["models:call"])
    assert (await caller(key).get(SELF)).status_code == 403


async def test_there_is_no_other_way_to_speak_of_ones_own_key(make_key, caller):
    calls = caller(await make_key(role="admin"))
    answers = [
        await calls.patch(SELF, json={"name": "m"}),
        await calls.delete(SELF),
    ]
    assert [answer.status_code for answer in answers] == [404, 404]

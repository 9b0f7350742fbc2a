"""Virtual keys over HTTP: what may be changed of them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

PATH = "/api/v1/keys"
MODELS = "/api/v1/models"
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
CHANGES = {
    "name": "reports",
    "project": "forecast",
    "tags": ["eu"],
    "models": ["openai/*"],
    "surfaces": ["openai"],
    "networks": ["10.0.0.0/8"],
    "allowance": {"tokens_per_minute": 9, "budgets": {"month": "20"}},
    "expires_at": TOMORROW.isoformat(),
}
ANSWERED = CHANGES | {
    "allowance": {
        "requests_per_minute": None,
        "tokens_per_minute": 9,
        "concurrent_requests": None,
        "budgets": {"day": None, "month": "20", "total": None, "warn_at": 0.8},
    },
    "expires_at": TOMORROW.isoformat().replace("+00:00", "Z"),
}
FREE = {
    "models": None,
    "surfaces": None,
    "networks": [],
    "allowance": {},
    "expires_at": None,
}


@pytest.fixture
def change(managed, caller):
    """Changes a key, as the root or with another key."""

    async def change(key, by=None, **changes):
        calls = managed if by is None else caller(by)
        return await calls.patch(f"{PATH}/{key['id']}", json=changes)

    return change


def without_secret(key):
    return {name: value for name, value in key.items() if name != "secret"}


@pytest.mark.parametrize("field", CHANGES)
async def test_what_is_left_out_stays(make_key, change, managed, field):
    key = await make_key(name="n", allowance={"requests_per_minute": 60})
    answer = await change(key, **{field: CHANGES[field]})
    assert answer.status_code == 200
    changed = without_secret(key) | {field: ANSWERED[field]}
    assert answer.json()["data"] == changed
    shown = (await managed.get(f"{PATH}/{key['id']}")).json()["data"]
    assert changed.items() <= shown.items()


@pytest.mark.parametrize("allowance", [{}, {"budgets": {"day": 1, "warn_at": 0.5}}])
async def test_what_is_shown_can_be_sent_back(make_key, change, allowance):
    key = await make_key(name="n", allowance=allowance)
    answer = await change(key, **{field: key[field] for field in CHANGES})
    assert answer.status_code == 200
    assert answer.json()["data"] == without_secret(key)


async def test_bounds_can_be_taken_away(make_key, change):
    free = await make_key()
    key = await make_key(**CHANGES | {"name": free["name"], "project": "", "tags": []})
    answer = await change(key, **FREE)
    same = {name: key[name] for name in ("id", "created_at")}
    assert answer.json()["data"] == without_secret(free) | same


async def test_a_change_counts_at_once(make_key, change, caller):
    key = await make_key(role="developer")
    calls = caller(key)
    assert (await calls.get(MODELS)).json()["data"] != []
    await change(key, models=[])
    assert (await calls.get(MODELS)).json()["data"] == []
    await change(key, networks=["192.0.2.0/24"])
    assert (await calls.get(MODELS)).status_code == 403


async def test_the_audit_log_has_what_has_changed(make_key, change, managed):
    key = await make_key(name="n", project="p", models=["a"])
    await change(key, name="m", project="p", models=None)
    await change(key, name="m")
    await change(key)
    entries = (await managed.get("/api/v1/audit")).json()["data"]
    assert [entry["action"] for entry in entries] == ["key.update", "key.create"]
    assert entries[0]["subject"] == key["id"]
    assert entries[0]["details"] == {"name": "m", "models": None}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"tags": None}, "tags"),
        ({"networks": ["10.0.0.1/8"]}, "networks.0"),
        ({"expires_at": 4_000_000_000}, "expires_at"),
        ({"organisation": "acme"}, "organisation"),
        ({"team": "red"}, "team"),
        ({"owner": "zoe"}, "owner"),
        ({"role": "admin"}, "role"),
        ({"scopes": None}, "scopes"),
        ({"revoked_at": None}, "revoked_at"),
        ({"id": "key_0123456789abcdef"}, "id"),
    ],
)
async def test_mistakes_are_named(make_key, change, changes, wrong):
    answer = await change(await make_key(), **changes)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["error"]["details"]] == [wrong]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "a\x1b[2J"}, "name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_keys_that_cannot_be_are_refused(make_key, change, changes, named):
    answer = await change(await make_key(), **changes)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith(named)
    assert [each["field"] for each in error["details"]] == [named]


async def test_a_key_cannot_be_made_to_end_in_the_past(make_key, change):
    key = await make_key()
    await asyncio.sleep(0.01)
    answer = await change(key, expires_at=datetime.now(UTC).isoformat())
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "expires_at: must be in the future"


async def test_what_has_ended_stays_so(make_key, change, managed, caller):
    key = await make_key()
    await managed.delete(f"{PATH}/{key['id']}")
    answer = await change(key, expires_at=CHANGES["expires_at"])
    assert answer.status_code == 400
    assert (await caller(key).get(MODELS)).status_code == 401


class TestWhoMay:
    @pytest.mark.parametrize(
        ("bounds", "changes"),
        [
            ({"models": ["openai/*"]}, {"models": None}),
            ({"surfaces": ["chat"]}, {"surfaces": ["chat", "openai"]}),
            ({"allowance": {"budgets": {"month": 5}}}, {"allowance": {}}),
            ({"expires_at": TOMORROW.isoformat()}, {"expires_at": None}),
        ],
    )
    async def test_nobody_widens_a_key_beyond_their_own(
        self, make_key, change, managed, bounds, changes
    ):
        admin = await make_key(role="admin", **bounds)
        for key in (await make_key(by=admin, **bounds), admin):
            answer = await change(key, by=admin, **changes)
            assert answer.status_code == 403
            shown = (await managed.get(f"{PATH}/{key['id']}")).json()["data"]
            assert without_secret(key).items() <= shown.items()
        entries = (await managed.get("/api/v1/audit")).json()["data"]
        assert [each["action"] for each in entries[:2]] == ["key.update.refused"] * 2

    async def test_a_team_does_not_change_keys_of_others(self, make_key, change):
        admin = await make_key(role="admin", organisation="acme", team="red")
        key = await make_key(organisation="acme", team="blue")
        assert (await change(key, by=admin, name="m")).status_code == 404

    async def test_keys_of_other_organisations_are_not_there(self, make_key, change):
        admin = await make_key(role="admin", organisation="acme")
        key = await make_key(organisation="globex")
        assert (await change(key, by=admin, name="m")).status_code == 404

    async def test_only_admins_do(self, make_key, change):
        operator, key = await make_key(role="operator"), await make_key()
        assert (await change(key, by=operator, name="m")).status_code == 403


async def test_browsers_may(managed):
    answer = await managed.options(
        PATH,
        headers={
            "Origin": "https://console.example",
            "Access-Control-Request-Method": "PATCH",
        },
    )
    assert answer.status_code == 200

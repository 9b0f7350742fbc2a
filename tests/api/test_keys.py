"""Virtual keys over HTTP."""

import re
from datetime import UTC, datetime, timedelta

import pytest

PATH = "/api/v1/keys"
MODELS = "/api/v1/models"
STRONG = "as-long-and-mixed-as-production-wants"
READS = ("models:call", "models:read", "usage:read")
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
FULL = {
    "name": "Zoë's spreadsheets",
    "organisation": "acme",
    "team": "red",
    "owner": "zoe@acme.test",
    "project": "forecast",
    "tags": ["eu", "beta"],
    "role": "operator",
    "scopes": ["models:call", "keys:read"],
    "models": ["openai/*", "smart"],
    "surfaces": ["openai", "chat"],
    "networks": ["127.0.0.0/8", "2001:db8::/32"],
    "allowance": {
        "requests_per_minute": 60,
        "tokens_per_minute": 90_000,
        "concurrent_requests": 4,
        "budgets": {"day": 1.5, "month": "20", "warn_at": 0.9},
    },
    "expires_at": TOMORROW.isoformat(),
}


class TestCreate:
    async def test_a_key_is_what_was_asked_for(self, managed):
        answer = await managed.post(PATH, json=FULL)
        assert answer.status_code == 201
        assert answer.json()["meta"] == {"requestId": answer.headers["x-request-id"]}
        data = answer.json()["data"]
        assert data == FULL | {
            "id": data["id"],
            "secret": data["secret"],
            "scopes": ["keys:read", "models:call"],
            "surfaces": ["chat", "openai"],
            "allowance": FULL["allowance"]
            | {
                "budgets": {
                    "day": "1.5",
                    "month": "20",
                    "total": None,
                    "warn_at": 0.9,
                }
            },
            "created_at": data["created_at"],
            "created_by": "default",
            "expires_at": TOMORROW.isoformat().replace("+00:00", "Z"),
            "revoked_at": None,
        }
        assert answer.headers["location"] == f"{PATH}/{data['id']}"
        made = datetime.fromisoformat(data["created_at"])
        assert abs(datetime.now(UTC) - made) < timedelta(minutes=1)

    async def test_a_name_is_enough(self, make_key):
        data = await make_key(name="n")
        assert data["role"] == "developer"
        assert {name: data[name] for name in ("organisation", "team", "owner")} == {
            "organisation": "",
            "team": "",
            "owner": "",
        }
        assert [data[name] for name in ("scopes", "models", "surfaces")] == [None] * 3
        assert (data["tags"], data["networks"], data["expires_at"]) == ([], [], None)
        assert data["allowance"]["requests_per_minute"] is None
        assert data["allowance"]["budgets"]["month"] is None

    async def test_its_secret_is_a_credential_and_is_shown_once(
        self, managed, make_key, caller, logs
    ):
        data = await make_key()
        assert re.fullmatch(r"sk-llmp-[0-9A-Za-z]{49}", data["secret"])
        assert (await caller(data).get(MODELS)).status_code == 200
        shown = [
            await managed.get(f"{PATH}/{data['id']}"),
            await managed.get(PATH),
            await managed.get("/api/v1/audit"),
        ]
        assert all(data["id"] in answer.text for answer in shown)
        assert all(data["secret"] not in answer.text for answer in shown)
        assert data["secret"] not in str(logs())

    async def test_nothing_between_keeps_the_answer(self, managed):
        answer = await managed.post(PATH, json={"name": "n"})
        assert "no-store" in answer.headers["cache-control"]

    async def test_it_belongs_where_its_maker_does(self, make_key):
        admin = await make_key(organisation="acme", team="red", role="admin")
        data = await make_key(by=admin, name="n")
        assert (data["organisation"], data["team"]) == ("acme", "red")
        assert data["created_by"] == admin["id"]

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"name": ""}, ["name"]),
            ({"name": "n" * 256}, ["name"]),
            ({"name": None}, ["name"]),
            ({"id": "key_0123456789abcdef"}, ["id"]),
            ({"created_by": "root"}, ["created_by"]),
            ({"revoked_at": None}, ["revoked_at"]),
            ({"secret": "sk-llmp-mine"}, ["secret"]),
            ({"role": "root"}, ["role"]),
            ({"scopes": ["everything"]}, ["scopes.0"]),
            ({"models": "openai/*"}, ["models"]),
            ({"models": ["m"] * 101}, ["models"]),
            ({"surfaces": ["telnet"]}, ["surfaces.0"]),
            ({"networks": ["10.0.0.1/8"]}, ["networks.0"]),
            ({"networks": [167772160]}, ["networks.0"]),
            ({"expires_at": "2027-01-01T00:00:00"}, ["expires_at"]),
            ({"expires_at": 1893456000}, ["expires_at"]),
            ({"allowance": {"requests": 1}}, ["allowance.requests"]),
            (
                {"allowance": {"tokens_per_minute": 0}},
                ["allowance.tokens_per_minute"],
            ),
            (
                {"allowance": {"budgets": {"month": -1}}},
                ["allowance.budgets.month"],
            ),
            (
                {"allowance": {"budgets": {"warn_at": 0.3}}},
                ["allowance.budgets.warn_at"],
            ),
            ({"tags": ["t" * 256], "owner": 1}, ["owner", "tags.0"]),
        ],
    )
    async def test_mistakes_are_named(self, managed, fields, wrong):
        answer = await managed.post(PATH, json={"name": "n"} | fields)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_ERROR"
        assert [each["field"] for each in error["details"]] == wrong

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"name": "a\x00b"}, "name"),
            ({"owner": "a\x1b[2J"}, "owner"),
            ({"team": "red/blue"}, "team"),
            ({"role": "viewer", "scopes": ["keys:write"]}, "scopes"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ],
    )
    async def test_keys_that_cannot_be_are_refused(self, managed, fields, named):
        answer = await managed.post(PATH, json={"name": "n"} | fields)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["message"].startswith(named)
        assert [each["field"] for each in error["details"]] == [named]
        assert (await managed.get(PATH)).json()["data"] == []


class TestWhoMay:
    async def test_nobody_grants_more_than_they_have(self, make_key, caller, managed):
        admin = await make_key(
            role="admin", allowance={"budgets": {"month": 20}}, organisation="acme"
        )
        answer = await caller(admin).post(PATH, json={"name": "n"})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "FORBIDDEN"
        keys = (await managed.get(PATH)).json()["data"]
        assert [key["id"] for key in keys] == [admin["id"]]

    @pytest.mark.parametrize("role", ["operator", "developer", "viewer"])
    async def test_only_admins_change_keys(self, make_key, caller, role):
        other, key = await make_key(), await make_key(role=role)
        calls = caller(key)
        path = f"{PATH}/{other['id']}"
        answers = [
            await calls.post(PATH, json={"name": "n"}),
            await calls.post(f"{path}/rotate"),
            await calls.delete(path),
        ]
        assert [answer.status_code for answer in answers] == [403] * 3

    @pytest.mark.parametrize(
        ("role", "status"), [("operator", 200), ("developer", 403), ("viewer", 403)]
    )
    async def test_operators_read_them(self, make_key, caller, role, status):
        key = await make_key(role=role)
        calls = caller(key)
        answers = [await calls.get(PATH), await calls.get(f"{PATH}/{key['id']}")]
        assert [answer.status_code for answer in answers] == [status] * 2

    async def test_who_is_no_admin_has_to_do_with_keys_of_one_owner(
        self, make_key, caller
    ):
        scopes = ["keys:read", "keys:write", *READS]
        anna = await make_key(owner="anna", role="admin", scopes=scopes)
        own = await make_key(by=anna, owner="anna")
        path = f"{PATH}/{own['id']}"
        calls = caller(anna)
        for owner in ("", "bob"):
            theirs = f"{PATH}/{(await make_key(owner=owner))['id']}"
            answer = await calls.post(PATH, json={"name": "n", "owner": owner})
            assert answer.status_code == 403
            details = {"reason": "grant", "beyond": "owner"}
            assert answer.json()["error"]["details"] == details
            answers = [
                await calls.get(theirs),
                await calls.patch(theirs, json={"name": "m"}),
                await calls.post(f"{theirs}/rotate"),
                await calls.delete(theirs),
            ]
            assert [answer.status_code for answer in answers] == [404] * 4
        answers = [
            await calls.patch(path, json={"name": "m"}),
            await calls.post(f"{path}/rotate"),
            await calls.delete(path),
        ]
        assert [answer.status_code for answer in answers] == [200] * 3

    @pytest.mark.parametrize(
        ("viewer", "seen"),
        [
            ({"role": "admin", "owner": "anna", "scopes": ["keys:read"]}, "a"),
            ({"role": "operator", "team": "red"}, "br"),
            ({"role": "operator", "owner": "anna"}, "abcr"),
        ],
    )
    async def test_what_is_not_theirs_they_do_not_see(
        self, make_key, caller, viewer, seen
    ):
        keys = {
            "a": {"owner": "anna"},
            "b": {"owner": "bob", "team": "red"},
            "c": {"owner": "anna", "team": "blue"},
            "r": {"team": "red"},
        }
        made = {name: (await make_key(**each))["id"] for name, each in keys.items()}
        own = await make_key(**viewer)
        calls = caller(own)
        listed = (await calls.get(PATH)).json()["data"]
        wanted = {own["id"], *(made[name] for name in seen)}
        assert {each["id"] for each in listed} == wanted
        for name, key_id in made.items():
            answer = await calls.get(f"{PATH}/{key_id}")
            assert answer.status_code == (200 if name in seen else 404)
        for name, fields in keys.items():
            page = (await calls.get(PATH, params=fields)).json()["data"]
            assert (made[name] in {each["id"] for each in page}) == (name in seen)

    async def test_keys_of_other_organisations_are_not_there(self, make_key, caller):
        theirs = await make_key(organisation="globex")
        admin = await make_key(organisation="acme", role="admin")
        calls = caller(admin)
        path = f"{PATH}/{theirs['id']}"
        answers = [
            await calls.get(path),
            await calls.post(f"{path}/rotate"),
            await calls.delete(path),
            await calls.get(f"{PATH}/key_0000000000000000"),
            await calls.get(f"{PATH}/%00"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 5
        assert len({answer.json()["error"]["message"] for answer in answers}) == 1
        for query in ("", "?organisation=acme"):
            keys = (await calls.get(PATH + query)).json()["data"]
            assert [key["id"] for key in keys] == [admin["id"]]
        for name in ("globex", ""):
            answer = await calls.get(PATH, params={"organisation": name})
            assert answer.json()["data"] == []
        assert (await caller(theirs).get(MODELS)).status_code == 200

    async def test_without_a_database_there_are_none(self, client):
        calls = client(database_url="off")
        answers = [await calls.get(PATH), await calls.post(PATH, json={"name": "n"})]
        assert [answer.status_code for answer in answers] == [404, 404]
        for answer in answers:
            message = answer.json()["error"]["message"]
            assert message == "There are no keys: DATABASE_URL is off"

    @pytest.mark.parametrize(
        ("environment", "url"),
        [
            ("production", "sqlite:///proxy.db"),
            ("testing", "postgresql://127.0.0.1:1/name"),
        ],
    )
    async def test_without_a_pepper_there_are_none(
        self, build, client, tmp_path, monkeypatch, logs, environment, url
    ):
        monkeypatch.chdir(tmp_path)
        app = build(
            database_url=url,
            environment=environment,
            api_token=STRONG,
            shared_limits="process",
        )
        async with app.router.lifespan_context(app):
            calls = client(app, headers={"x-api-token": STRONG})
            answer = await calls.post(PATH, json={"name": "n"})
        assert answer.status_code == 404
        message = answer.json()["error"]["message"]
        assert message == "There are no keys: KEY_PEPPER is not set"
        [line] = logs("keys_disabled")
        assert (line["level"], line["missing"]) == ("warn", "KEY_PEPPER")


class TestList:
    async def test_it_is_read_page_by_page(self, managed, make_key):
        made = [(await make_key())["id"] for _ in range(5)]
        pages, after = [], ""
        while after is not None:
            answer = await managed.get(PATH, params={"limit": 2, "after": after})
            body = answer.json()
            pages.append([key["id"] for key in body["data"]])
            after = body["meta"]["next"]
        assert pages == [sorted(made)[:2], sorted(made)[2:4], sorted(made)[4:]]

    async def test_filters_are_combined(self, managed, make_key):
        wanted = {
            "organisation": "acme",
            "team": "red",
            "owner": "zoe",
            "project": "forecast",
        }
        key = await make_key(**wanted)
        for name in wanted:
            await make_key(**wanted | {name: "other"})
        keys = (await managed.get(PATH, params=wanted)).json()["data"]
        assert [each["id"] for each in keys] == [key["id"]]

    async def test_an_empty_filter_is_for_keys_without(self, managed, make_key):
        key = await make_key()
        await make_key(organisation="acme")
        keys = (await managed.get(f"{PATH}?organisation=")).json()["data"]
        assert [each["id"] for each in keys] == [key["id"]]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=1&limit=2", "limit"),
            ("team=a%00", "team"),
            ("team=" + "t" * 256, "team"),
            ("name=n", "name"),
        ],
    )
    async def test_wrong_parameters_are_named(self, managed, query, field):
        answer = await managed.get(f"{PATH}?{query}")
        assert answer.status_code == 400
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == field


class TestRotate:
    async def test_both_secrets_are_good_for_a_while(self, managed, make_key, caller):
        old = await make_key(name="n")
        answer = await managed.post(f"{PATH}/{old['id']}/rotate")
        assert answer.status_code == 200
        new = answer.json()["data"]
        assert new["secret"] != old["secret"]
        assert new == old | {"secret": new["secret"]}
        for each in (old, new):
            assert (await caller(each).get(MODELS)).status_code == 200

    async def test_without_an_overlap_only_the_new_one_is(
        self, managed, make_key, caller
    ):
        old = await make_key()
        assert (await caller(old).get(MODELS)).status_code == 200
        answer = await managed.post(
            f"{PATH}/{old['id']}/rotate", json={"overlap_seconds": 0}
        )
        new = answer.json()["data"]
        assert (await caller(old).get(MODELS)).status_code == 401
        assert (await caller(new).get(MODELS)).status_code == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"overlap_seconds": -1}, "overlap_seconds"),
            ({"overlap_seconds": 2_592_001}, "overlap_seconds"),
            ({"overlap_seconds": "60"}, "overlap_seconds"),
            ({"overlap": 60}, "overlap"),
        ],
    )
    async def test_mistakes_are_named(self, managed, make_key, body, field):
        key = await make_key()
        answer = await managed.post(f"{PATH}/{key['id']}/rotate", json=body)
        assert answer.status_code == 400
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == field

    async def test_a_body_without_a_length_is_read(self, managed, make_key):
        async def body():
            yield b'{"overlap_seconds": -1}'

        key = await make_key()
        answer = await managed.post(
            f"{PATH}/{key['id']}/rotate",
            content=body(),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 400

    async def test_what_is_revoked_gets_no_other(self, managed, make_key):
        key = await make_key()
        await managed.delete(f"{PATH}/{key['id']}")
        answer = await managed.post(f"{PATH}/{key['id']}/rotate")
        assert answer.status_code == 400
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == "id"

    async def test_until_when_older_secrets_work_is_shown(
        self, managed, make_key, caller
    ):
        key = await make_key(expires_at=TOMORROW.isoformat())
        path = f"{PATH}/{key['id']}"

        async def end():
            shown = await managed.get(path)
            own = await caller(new).get(f"{PATH}/self")
            assert own.json()["data"] == shown.json()["data"]
            return shown.json()["data"]["older_secrets_until"]

        new = key
        assert await end() is None
        answer = await managed.post(f"{path}/rotate", json={"overlap_seconds": 600})
        new = answer.json()["data"]
        ends = datetime.fromisoformat(await end())
        assert timedelta(minutes=9) < ends - datetime.now(UTC) <= timedelta(minutes=10)
        answer = await managed.post(f"{path}/rotate", json={"overlap_seconds": 10**6})
        new = answer.json()["data"]
        assert await end() == key["expires_at"]
        answer = await managed.post(f"{path}/rotate", json={"overlap_seconds": 0})
        new = answer.json()["data"]
        assert await end() is None

    async def test_no_older_secret_of_a_revoked_key_works(self, managed, make_key):
        path = f"{PATH}/{(await make_key())['id']}"
        await managed.post(f"{path}/rotate")
        assert (await managed.get(path)).json()["data"]["older_secrets_until"]
        await managed.delete(path)
        assert (await managed.get(path)).json()["data"]["older_secrets_until"] is None

    async def test_a_key_that_may_do_more_is_out_of_reach(self, make_key, caller):
        other = await make_key()
        admin = await make_key(role="admin", models=["openai/*"])
        answer = await caller(admin).post(f"{PATH}/{other['id']}/rotate")
        assert answer.status_code == 403
        assert (await caller(other).get(MODELS)).status_code == 200


class TestRevoke:
    async def test_a_key_that_may_do_more_can_be_ended(self, make_key, caller):
        other = await make_key()
        admin = await make_key(role="admin", models=["openai/*"])
        answer = await caller(admin).delete(f"{PATH}/{other['id']}")
        assert answer.status_code == 200
        assert (await caller(other).get(MODELS)).status_code == 401

    async def test_it_is_for_good_and_may_be_repeated(self, managed, make_key, caller):
        key = await make_key()
        assert (await caller(key).get(MODELS)).status_code == 200
        first, second = [await managed.delete(f"{PATH}/{key['id']}") for _ in range(2)]
        assert first.status_code == second.status_code == 200
        data = first.json()["data"]
        assert data["revoked_at"] is not None
        assert data == second.json()["data"]
        assert (await caller(key).get(MODELS)).status_code == 401
        shown = await managed.get(f"{PATH}/{key['id']}")
        assert shown.json()["data"] == data | {
            "budgets": [],
            "older_secrets_until": None,
        }

    @pytest.mark.parametrize("reason", ["revoked", "expired"])
    async def test_the_log_says_whose_it_was_and_the_caller_hears_nothing(
        self, managed, make_key, caller, logs, reason
    ):
        key = await make_key()
        path = f"{PATH}/{key['id']}"
        if reason == "revoked":
            await managed.delete(path)
        else:
            await managed.post(f"{path}/rotate", json={"overlap_seconds": 0})
        unknown = key | {"secret": "x"}
        answers = [await caller(each).get(MODELS) for each in (key, unknown)]
        errors = [answer.json()["error"] for answer in answers]
        for error in errors:
            error.pop("requestId", None)
        assert errors[0] == errors[1]
        ended, other = logs("auth_failed")
        assert (ended["reason"], ended["key"]) == (reason, key["id"])
        assert other["reason"] == "unknown"
        assert key["secret"] not in str(ended)

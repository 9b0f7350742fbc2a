"""What callers have used, over HTTP."""

import csv
from io import StringIO

import pytest
from tests.ledger.rows import row

from llm_proxy.storage import ledger

PATH = "/api/v1/usage"
NOVEMBER = {"from": "2026-11-01", "to": "2026-11-30"}


@pytest.fixture
def add(managed):
    """Adds rows to the ledger."""

    async def add(*rows: dict[str, object]) -> None:
        async with managed.app.state.books.database.begin() as connection:
            await connection.execute(ledger.insert(), rows)

    return add


class TestReports:
    async def test_sums_are_divided_as_asked(self, managed, add):
        await add(
            row("2026-11-02 12:00", input_tokens=5, cost_nanos=1_500_000_000),
            row("2026-11-02 13:00", output_tokens=7, status="failed"),
            row("2026-11-03 12:00", model="o3", cost_source="unknown"),
        )
        answer = await managed.get(PATH, params=NOVEMBER | {"by": "day,model"})
        assert answer.status_code == 200
        body = answer.json()
        assert body["meta"] == NOVEMBER | {
            "requestId": answer.headers["x-request-id"],
        }
        first, second = body["data"]
        assert first == {
            "day": "2026-11-02",
            "model": "gpt-4o",
            "calls": 2,
            "failed_calls": 1,
            "unpriced_calls": 0,
            "input_tokens": 5,
            "output_tokens": 7,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
            "cost": "1.500000000",
        }
        assert (second["day"], second["model"]) == ("2026-11-03", "o3")
        assert (second["unpriced_calls"], second["cost"]) == (1, "0.000000000")

    async def test_without_days_it_is_the_month_until_today(self, managed):
        meta = (await managed.get(PATH)).json()["meta"]
        assert meta["from"] == f"{meta['to'][:7]}-01"

    async def test_without_a_first_day_it_is_that_of_the_month(self, managed):
        answer = await managed.get(PATH, params={"to": "2024-02-29"})
        assert answer.json()["meta"]["from"] == "2024-02-01"

    async def test_owners_are_dimensions_and_filters(self, managed, add):
        owners = {
            "organisation": "acme",
            "team": "red",
            "user": "zoe",
            "user_id": "u-1",
        }
        columns = owners | {"owner": owners["user"]}
        del columns["user"]
        await add(row(**columns))
        for name in columns:
            await add(row(**columns | {name: "other"}))
        params = NOVEMBER | owners | {"by": ",".join(owners)}
        [each] = (await managed.get(PATH, params=params)).json()["data"]
        assert {name: each[name] for name in owners} == owners
        assert each["calls"] == 1

    async def test_filters_may_be_repeated_and_combined(self, managed, add):
        for model, key in (("a", "x"), ("b", "x"), ("c", "x"), ("a", "y")):
            await add(row(model=model, principal=key))
        query = "from=2026-11-01&to=2026-11-21&model=a&model=b&key=x&day=2026-11-21"
        answer = await managed.get(f"{PATH}?{query}")
        assert [each["calls"] for each in answer.json()["data"]] == [2]


class TestWhoSeesWhat:
    @pytest.mark.parametrize(
        ("role", "seen"), [("viewer", ["own"]), ("operator", ["own", "other"])]
    )
    async def test_callers_see_their_own_and_operators_see_all(
        self, make_key, caller, add, role, seen
    ):
        key = await make_key(role=role)
        names = {"own": key["id"], "other": "other"}
        await add(*(row(principal=name) for name in names.values()))
        answer = await caller(key).get(PATH, params=NOVEMBER | {"by": "key"})
        assert [each["key"] for each in answer.json()["data"]] == [
            names[each] for each in seen
        ]

    async def test_operators_of_an_organisation_see_all_of_it(
        self, make_key, caller, add
    ):
        key = await make_key(role="operator", organisation="acme")
        await add(
            row(principal="a", organisation="acme", team="red"),
            row(principal="b", organisation="acme", team="blue"),
            row(principal="c", organisation="globex"),
            row(principal="d"),
        )
        calls = caller(key)
        answer = await calls.get(PATH, params=NOVEMBER | {"by": "key,team"})
        assert [(each["key"], each["team"]) for each in answer.json()["data"]] == [
            ("a", "red"),
            ("b", "blue"),
        ]
        for others in ({"organisation": "globex"}, {"key": "c"}):
            answer = await calls.get(PATH, params=NOVEMBER | others | {"by": "key"})
            assert (answer.status_code, answer.json()["data"]) == (200, [])

    async def test_no_filter_leads_to_others(self, make_key, caller, add):
        await add(row(principal="bob"))
        params = NOVEMBER | {"by": "key", "key": "bob"}
        answer = await caller(await make_key()).get(PATH, params=params)
        assert (answer.status_code, answer.json()["data"]) == (200, [])

    async def test_nobody_else_sees_anything(self, managed):
        answer = await managed.get(PATH, headers={"x-api-token": "wrong"})
        assert answer.status_code == 401


class TestMistakes:
    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("from=yesterday", ["from"]),
            ("from=20261101", ["from"]),
            ("from=2026-11-31", ["from"]),
            ("from=2026-11-01&from=2026-11-02", ["from"]),
            ("from=2026-11-22&to=2026-11-21", ["from"]),
            ("from=2025-11-20&to=2026-11-21", ["from"]),
            ("to=", ["to"]),
            ("by=price", ["by.0"]),
            ("by=model,,day", ["by.1"]),
            ("by=model&by=model", ["by"]),
            ("format=xml", ["format"]),
            ("day=today", ["day.0"]),
            ("day=20261121", ["day.0"]),
            ("model=a%00", ["model.0"]),
            ("key=" + "k" * 513, ["key.0"]),
            ("key=k" + "&key=k" * 100, ["key"]),
            ("modle=gpt-4o&from=x", ["from", "modle"]),
        ],
    )
    async def test_wrong_parameters_are_named(self, managed, query, fields):
        answer = await managed.get(f"{PATH}?{query}")
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_ERROR"
        assert [each["field"] for each in error["details"]] == fields

    async def test_a_leap_year_is_not_too_long(self, managed):
        span = {"from": "2024-01-01", "to": "2024-12-31"}
        assert (await managed.get(PATH, params=span)).status_code == 200

    async def test_a_token_in_the_query_is_none(self, managed):
        answer = await managed.get(
            PATH, params={"api_token": "test_token"}, headers={"x-api-token": ""}
        )
        assert answer.status_code == 200

    async def test_reports_have_an_end(self, managed, add):
        await add(*(row(feature=str(number)) for number in range(10_001)))
        answer = await managed.get(PATH, params=NOVEMBER | {"by": "feature"})
        assert answer.status_code == 400
        assert "more than 10000 rows" in answer.json()["error"]["message"]

    async def test_a_database_that_is_gone_is_not_the_callers_fault(
        self, client, tmp_path
    ):
        answer = await client(database_url=f"sqlite:///{tmp_path}").get(PATH)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"

    async def test_without_a_ledger_there_is_no_report(self, client):
        answer = await client(database_url="off").get(PATH)
        assert answer.status_code == 404
        assert "DATABASE_URL" in answer.json()["error"]["message"]


class TestCSV:
    @pytest.mark.parametrize(
        ("query", "accept"),
        [
            ("&format=csv", "application/json"),
            ("", "text/csv"),
            ("", "application/json;q=0.5, Text/CSV; header=present"),
        ],
    )
    async def test_it_is_a_table_to_download(self, managed, add, query, accept):
        await add(row(project="=cmd|' /C calc'!A0", cost_nanos=1))
        answer = await managed.get(
            f"{PATH}?from=2026-11-01&to=2026-11-21&by=project,day{query}",
            headers={"accept": accept},
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
        assert answer.headers["content-disposition"] == (
            'attachment; filename="usage-2026-11-01-2026-11-21.csv"'
        )
        header, cells = csv.reader(StringIO(answer.text, newline=""), strict=True)
        assert header[:3] == ["project", "day", "calls"]
        assert cells[:3] == ["'=cmd|' /C calc'!A0", "2026-11-21", "1"]
        assert (header[-1], cells[-1]) == ("cost", "0.000000001")

    @pytest.mark.parametrize("accept", ["*/*", "text/*", "text/csv-schema"])
    async def test_else_it_is_json(self, managed, accept):
        answer = await managed.get(PATH, headers={"accept": accept})
        assert answer.headers["content-type"] == "application/json"
        answer = await managed.get(
            f"{PATH}?format=json", headers={"accept": "text/csv"}
        )
        assert answer.headers["content-type"] == "application/json"

    async def test_a_large_one_is_whole(self, managed, add):
        await add(*(row(feature=f"{number:05}") for number in range(10_000)))
        params = NOVEMBER | {"by": "feature", "format": "csv"}
        answer = await managed.get(PATH, params=params)
        lines = answer.text.split("\r\n")
        assert len(lines) == 10_002
        assert lines[-2].startswith("09999,1,")

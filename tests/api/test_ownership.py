"""Whose calls they are and what for: in the ledger, in its reports, and in the log."""

import sqlite3
from contextlib import closing

import pytest

HELLO = [{"role": "user", "content": "Hi"}]
OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"
RESPONSES = "/v1/responses"
OWNED = {"organisation": "acme", "team": "red", "owner": "zoe"}


@pytest.fixture
def rows(managed):
    """Reads columns of the ledger."""

    def rows(columns):
        file = managed.app.state.books.database.file
        with closing(sqlite3.connect(file)) as connection:
            statement = f"SELECT {columns} FROM ledger ORDER BY at_ms"
            return connection.execute(statement).fetchall()

    return rows


async def ask(caller, path="/chat", headers=None, **fields):
    if path == "/chat":
        body = {"provider": "openai", "model": "gpt-4", "prompt": "Hi"}
    elif path == "/webhook":
        body = {"prompt": "Hi", "type": "summary"}
    elif path == RESPONSES:
        body = {"model": "claude-sonnet-4-5", "input": "Hi"}
    else:
        body = {"model": "gpt-4", "messages": HELLO, "max_tokens": 9}
    answer = await caller.post(path, json=body | fields, headers=headers or {})
    assert answer.status_code == 200, answer.text
    return answer


class TestOwners:
    async def test_they_are_the_keys(self, make_key, caller, rows):
        key = await make_key(**OWNED, project="forecast")
        await ask(caller(key))
        found = rows("principal, organisation, team, owner, project")
        assert found == [(key["id"], "acme", "red", "zoe", "forecast")]

    async def test_a_token_of_the_settings_has_only_a_name(self, managed, rows):
        await ask(managed)
        found = rows("principal, organisation, team, owner, project")
        assert found == [("default", "", "", "", "llm-proxy")]

    @pytest.mark.parametrize("by", ["team", "organisation", "user", "key", "project"])
    async def test_reports_add_them_up(self, managed, make_key, caller, by):
        red = await make_key(**OWNED, project="one")
        blue = await make_key(organisation="else", team="blue", owner="yan")
        for key in (red, red, blue):
            await ask(caller(key))
        answer = await managed.get("/api/v1/usage", params={"by": by})
        assert answer.status_code == 200, answer.text
        calls = {row[by]: row["calls"] for row in answer.json()["data"]}
        name = {
            "team": "red",
            "organisation": "acme",
            "user": "zoe",
            "key": red["id"],
            "project": "one",
        }[by]
        assert calls.pop(name) == 2
        assert list(calls.values()) == [1]


class TestProject:
    @pytest.mark.parametrize("path", ["/chat", "/webhook", OPENAI, ANTHROPIC])
    async def test_a_caller_may_name_it(self, managed, rows, logs, path):
        await ask(managed, path, {"x-llm-proxy-project": "q3"})
        assert rows("project") == [("q3",)]
        assert logs("llm_call")[0]["project"] == "q3"

    async def test_that_of_the_key_goes_before_it(self, make_key, caller, rows):
        key = await make_key(project="forecast")
        await ask(caller(key), headers={"x-llm-proxy-project": "q3"})
        assert rows("project") == [("forecast",)]


class TestFeature:
    @pytest.mark.parametrize(
        ("path", "feature"),
        [
            ("/chat", "chat"),
            ("/webhook", "webhook.summary"),
            (OPENAI, "v1.openai_chat"),
            (RESPONSES, "v1.openai_responses"),
            (ANTHROPIC, "v1.anthropic_messages"),
        ],
    )
    async def test_it_is_the_part_of_the_product_or_what_a_caller_says(
        self, managed, rows, path, feature
    ):
        await ask(managed, path)
        await ask(managed, path, {"x-llm-proxy-feature": "letters"})
        assert rows("feature") == [(feature,), ("letters",)]


class TestUser:
    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            (OPENAI, {"user": "u-7"}),
            (OPENAI, {"safety_identifier": "u-7"}),
            (OPENAI, {"metadata": {"user_id": "u-7"}}),
            (RESPONSES, {"user": "u-7"}),
            (RESPONSES, {"metadata": {"userId": "u-7"}}),
            (ANTHROPIC, {"metadata": {"user_id": "u-7"}}),
        ],
    )
    async def test_it_stands_where_either_vendor_has_it(
        self, managed, rows, path, fields
    ):
        await ask(managed, path, **fields)
        assert rows("user_id") == [("u-7",)]

    @pytest.mark.parametrize("path", ["/chat", "/webhook", OPENAI, ANTHROPIC])
    async def test_or_in_a_header_which_goes_before(self, managed, rows, path):
        fields = {"metadata": {"user_id": "u-8"}} if path == ANTHROPIC else {}
        await ask(managed, path, {"x-llm-proxy-user-id": "u-7"}, **fields)
        assert rows("user_id") == [("u-7",)]

    @pytest.mark.parametrize(
        "metadata", [{"user_id": 7}, {"user_id": ["u"]}, {"other": "u"}, None]
    )
    async def test_what_is_no_name_is_left_out(self, managed, rows, metadata):
        await ask(managed, OPENAI, metadata=metadata)
        assert rows("user_id") == [("",)]


@pytest.mark.parametrize("header", ["project", "feature", "user-id"])
@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b"x" * 1000, "x" * 64),
        (b"a\tb", None),
        (b"\x1b[31m", None),
        ("é".encode(), "Ã©"),
        (b"'; DROP TABLE ledger; --", "'; DROP TABLE ledger; --"),
    ],
    ids=["long", "tab", "escape", "UTF-8", "SQL"],
)
async def test_words_of_callers_are_bounded(managed, rows, header, value, known):
    await ask(managed, headers={f"x-llm-proxy-{header}": value})
    column = header.replace("-", "_")
    otherwise = {"project": "llm-proxy", "feature": "chat", "user_id": ""}[column]
    assert rows(column) == [(otherwise if known is None else known,)]

"""What stands in the ledger of calls, over real sockets and in a real database."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import pytest
from tests.conftest import UpstreamBody, openai_event
from tests.live import ANTHROPIC, CHAT, OPENAI, PATHS, Live, body_for, live, until

pytestmark = pytest.mark.integration

PROMPT = "one two three four five six"
MODELS = """
models:
  it: {deployments: [{model: one/sandbox}]}
  failing: {deployments: [{model: one/fault-502}], fallbacks: [two/sandbox], retries: 1}
  unreachable: {deployments: [{model: gone/m}], fallbacks: [two/sandbox], retries: 0}
  dying: {deployments: [{model: one/fault-cut}], fallbacks: [two/sandbox]}
  refusing: {deployments: [{model: one/fault-400}]}
  slow: {deployments: [{model: one/slow-stream-200}]}
  priced: {deployments: [{model: one/chunks-4}]}
prices:
  one/chunks-4: {input: 2.5, output: "0.15"}
"""
ENDS = "event: done", "[DONE]", "event: message_stop", "event: response.completed"
GONE = """
  gone: {api: openai, base_url: "http://127.0.0.1:1/v1", api_key: "${UPSTREAM_KEY}"}
"""


class Books:
    """A service with a ledger, and what stands in it."""

    def __init__(self, service: Live, file: str) -> None:
        self.service = service
        self._file = file

    def rows(self, columns: str) -> list[tuple]:
        """The rows, oldest first."""
        with sqlite3.connect(self._file) as connection:
            statement = f"SELECT {columns} FROM ledger ORDER BY at_ms, attempt"
            return connection.execute(statement).fetchall()

    async def ask(self, path: str, model: str, stream: bool) -> str:
        """Asks, and returns the whole body."""
        body = body_for(path, model, PROMPT, stream=stream)
        if path == OPENAI and stream:
            body["stream_options"] = {"include_usage": True}
        return (await self.service.client.post(path, json=body)).text


@pytest.fixture
def books(settings, restored_logging, tmp_path, sqlite_url):
    """Runs services with a ledger."""

    @asynccontextmanager
    async def books(models: str = "", **overrides: object) -> AsyncIterator[Books]:
        values = {"database_url": sqlite_url, "spool_dir": tmp_path / "spool"}
        models = GONE + MODELS + models
        async with live(settings, tmp_path, models, **values | overrides) as service:
            yield Books(service, sqlite_url.removeprefix("sqlite:///"))

    return books


UNSAID = "cost_nanos, cost_source"
ATTEMPT = "attempt, provider, model, status, code, output_tokens > 0"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_stands_there_with_the_numbers_of_the_wire(books, path, stream):
    async with books() as it:
        text = await it.ask(path, "it", stream)
        (row,) = it.rows(
            "attempt, principal, asked_model, provider, model, answered_model, status,"
            " code, usage_source"
        )
        names = "default", "it", "one", "sandbox", "sandbox"
        assert row == (1, *names, "answered", "", "provider")
        (tokens,) = it.rows("input_tokens, output_tokens")
        assert all(re.search(rf'_tokens":{number}\b', text) for number in tokens)
        ((first,),) = it.rows("first_token_seconds")
        assert (first is not None) == stream


@pytest.mark.parametrize("path", PATHS)
async def test_every_attempt_that_reached_somebody_has_a_row(books, path):
    async with books() as it:
        await it.ask(path, "failing", stream=False)
        await it.ask(path, "unreachable", stream=True)
        await it.ask(path, "refusing", stream=False)
        # Nobody waits for the row of a call that has cost nothing.
        await until(lambda: len(it.rows("id")) == 5)
        assert it.rows(ATTEMPT) == [
            (1, "one", "fault-502", "failed", "LLM_UNAVAILABLE", 0),
            (2, "one", "fault-502", "failed", "LLM_UNAVAILABLE", 0),
            (3, "two", "sandbox", "answered", "", 1),
            (1, "two", "sandbox", "answered", "", 1),
            (1, "one", "fault-400", "failed", "LLM_REQUEST_REJECTED", 0),
        ]


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_that_dies_is_broken(books, path):
    async with books() as it:
        heard = await it.service.hear(path, "dying", PROMPT)
        assert heard.error
        assert it.rows("model, status, code") == [
            ("fault-cut", "broken", "LLM_STREAM_BROKEN")
        ]


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_that_nobody_hears_to_its_end_is_abandoned(books, path):
    async with books() as it:
        body = body_for(path, "slow", PROMPT)
        async with it.service.client.stream("POST", path, json=body) as answer:
            await anext(answer.aiter_raw())
        await until(lambda: bool(it.rows("id")))
        assert it.rows("model, status") == [("slow-stream-200", "abandoned")]
        if path != ANTHROPIC:
            # Only there tokens are told before the end.
            assert it.rows(UNSAID) == [(0, "unknown")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_no_answer_is_whole_before_it_stands_there(books, path, stream):
    async with books() as it:
        database = it.service.app.state.books.database
        asking = asyncio.create_task(it.ask(path, "it", stream))
        async with database.begin():
            # Nobody else can write meanwhile.
            done, _ = await asyncio.wait({asking}, timeout=0.2)
            assert not done
        assert "six" in await asking
        assert len(it.rows("id")) == 1


async def test_prices_are_the_operators(books):
    async with books() as it:
        await it.ask(CHAT, "priced", stream=False)
        ((given, made, nanos, source),) = it.rows(
            "input_tokens, output_tokens, cost_nanos, cost_source"
        )
        assert (nanos, source) == (given * 2500 + made * 150, "configured")


@pytest.mark.parametrize("path", PATHS)
async def test_answers_and_the_log_tell_the_cost(books, logs, path):
    async with books() as it:
        answer = await it.service.ask(path, "priced", PROMPT)
        ((nanos,),) = it.rows("cost_nanos")
        cost = answer.headers["x-llm-proxy-cost"]
        assert Decimal(cost).scaleb(9) == nanos > 0
        assert "E" not in cost
        [line] = logs("llm_call")
        assert (line["cost"], line["cost_source"]) == (cost, "configured")
        if path == CHAT:
            assert answer.json()["meta"]["cost"] == cost
            heard = await it.service.hear(path, "priced", PROMPT)
            assert heard.events[-1]["meta"]["cost"] == cost
            assert "x-llm-proxy-cost" not in heard.headers


async def test_what_nobody_can_price_has_no_cost(books, logs):
    async with books() as it:
        answer = await it.service.ask(CHAT, "it", PROMPT)
        assert "x-llm-proxy-cost" not in answer.headers
        assert answer.json()["meta"]["cost"] is None
        [line] = logs("llm_call")
        assert (line["cost"], line["cost_source"]) == (None, "unknown")


async def test_what_was_kept_costs_nothing(books):
    async with books(cache_policy="all") as it:
        answers = [await it.service.ask(CHAT, "priced", PROMPT) for _ in range(2)]
        costs = [each.json()["meta"]["cost"] for each in answers]
        assert (costs[0] != "0", costs[1]) == (True, "0")


async def test_costs_are_counted_by_who_has_taken_the_money(books):
    more = "  two/sandbox: {input: 0, output: 1000000}\n"
    async with books(more) as it:
        await it.ask(CHAT, "failing", stream=False)
        ((nanos,),) = it.rows("sum(cost_nanos)")
        metrics = (await it.service.client.get("/metrics")).text
        told = re.findall(r"^llm_cost_dollars_total{(.+)} (.+)$", metrics, re.MULTILINE)
        costs = {labels: float(dollars) * 1e9 for labels, dollars in told}
        assert costs == {
            'model="fault-502",provider="one"': 0,
            'model="sandbox",provider="two"': nanos,
        }


async def test_a_task_that_asks_twice_has_two_rows(build, upstream, client, tmp_path):
    upstream.says("nonsense", '{"sentiment": "positive", "confidence": 0.9}')
    app = build(database_url=f"sqlite:///{tmp_path}/ledger.db", spool_dir=tmp_path)
    await app.state.books.open()
    assert (await client(app).webhook(type="sentiment")).status_code == 200
    await app.state.books.aclose()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        rows = connection.execute("SELECT attempt, status FROM ledger").fetchall()
    assert rows == [(1, "answered"), (2, "answered")]


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_asked_that_cannot_be_written_down(books, path, monkeypatch):
    async with books() as it:
        monkeypatch.setattr("llm_proxy.ledger.Ledger.is_full", True)
        assert (await it.service.client.get("/readyz")).status_code == 503
        body = body_for(path, "it", PROMPT)
        answer = await it.service.client.post(path, json=body)
        assert answer.status_code == 503
        assert it.service.asked == []


@pytest.mark.parametrize("path", PATHS)
async def test_models_without_a_price_can_be_refused(books, path):
    async with books(models="unknown_price: refuse\n") as it:
        body = body_for(path, "it", PROMPT)
        answer = await it.service.client.post(path, json=body)
        assert (answer.status_code in (400, 404), it.service.asked) == (True, [])
        await it.ask(path, "priced", stream=True)
        assert it.service.asked == ["chunks-4"]


async def test_a_fault_behind_the_finish_reason_is_told(
    build, upstream, client, tmp_path
):
    async def events() -> AsyncIterator[bytes]:
        yield openai_event(delta={"content": "Hi"})
        yield openai_event(delta={}, finish_reason="stop")
        raise httpx.ReadError("cut")

    upstream.openai.side_effect = lambda _: httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        stream=UpstreamBody(upstream, events()),
    )
    app = build(database_url=f"sqlite:///{tmp_path}/ledger.db", spool_dir=tmp_path)
    await app.state.books.open()
    body = {"provider": "openai", "model": "m", "prompt": PROMPT, "stream": True}
    answer = await client(app).post(CHAT, json=body)
    await app.state.books.aclose()
    assert "Hi" in answer.text
    assert "event: error" in answer.text
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("SELECT status FROM ledger").fetchall() == [
            ("broken",)
        ]


async def test_a_database_that_is_away_at_the_start_stops_nothing(
    build, client, logs, tmp_path
):
    app = build(
        database_url="postgresql://user:secret@127.0.0.1:1/name",
        shared_limits="process",
        spool_dir=tmp_path / "spool",
    )
    await app.state.books.open()
    assert (await client(app).chat()).status_code == 200
    await app.state.books.aclose()
    (spooled,) = (tmp_path / "spool").iterdir()
    assert b'"answered"' in spooled.read_bytes()
    [line] = logs("database_unavailable")
    assert "secret" not in str(line)

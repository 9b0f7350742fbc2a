"""Why a call goes where it goes, before and after."""

import pytest
from tests.live import PATHS, live

MESSAGES = [{"role": "user", "content": "Hi"}]
ALICE = {"x-api-token": "alice-token"}
BOB = {"x-api-token": "bob-token"}
TOKENS = "alice:alice-token,bob:bob-token"
CONFIG = """
providers:
  elsewhere: {base_url: "http://127.0.0.1:1/v1", api_key: "${ELSEWHERE_KEY}"}
prices:
  anthropic/*: {input: 1.5, output: 2}
models:
  smart:
    deployments:
      - {model: openai/gpt-4o, weight: 3}
      - {model: elsewhere/unheard-of, context_window: 1000}
    fallbacks: [anthropic/claude-sonnet-4-5]
    retries: 1
    hedge_after: 2
    stream_recovery: buffer
    timeouts: {connect: 1, first_token: 7, idle: 8, total: 90}
  steady:
    deployments: [{model: openai/gpt-4o}, {model: openai/gpt-4}, {model: openai/o3}]
    affinity: {by: conversation}
  picky: {deployments: [{model: anthropic/claude-sonnet-4-5}], fallbacks: [openai/o3]}
  auto:
    complexity: {simple: openai/gpt-4o-mini, fast: openai/gpt-4o, complex: smart}
"""


@pytest.fixture
def caller(client, tmp_path):
    """Makes callers of a service with all these models."""
    path = tmp_path / "explained.yaml"
    path.write_text(CONFIG)

    def caller(**overrides: object):
        overrides = {"elsewhere_key": "any", "api_token": TOKENS} | overrides
        return client(headers=ALICE, config_file=path, **overrides)

    return caller


@pytest.fixture
def explain(caller):
    """Asks for an explanation."""

    async def explain(model: str, asking=None, headers=None, **fields: object) -> dict:
        body = {"model": model} | fields
        asking = asking or caller()
        answer = await asking.post("/api/v1/explain", json=body, headers=headers)
        assert answer.status_code == 200
        return answer.json()["data"]

    return explain


class TestExplain:
    async def test_all_who_could_answer_are_described(self, explain, upstream):
        data = await explain("smart", messages=MESSAGES)

        assert data["model"] == "smart"
        assert data["chosen"] in ("openai/gpt-4o", "elsewhere/unheard-of")
        assert (data["waitSeconds"], data["problem"]) == (0, None)
        first, second, _ = data["candidates"]
        names = [f"{each['provider']}/{each['model']}" for each in data["candidates"]]
        assert names == [
            "openai/gpt-4o",
            "elsewhere/unheard-of",
            "anthropic/claude-sonnet-4-5",
        ]
        assert [each["tier"] for each in data["candidates"]] == [0, 0, 1]
        assert [each["weight"] for each in data["candidates"]] == [3, 1, 1]
        assert first["contextWindow"] == 128_000
        assert float(first["price"]["input"]) == 2.5
        assert float(first["price"]["output"]) == 10
        assert (second["contextWindow"], second["price"]) == (1000, None)
        assert first["health"]["state"] == "closed"
        assert first["retriesLeft"] > 0
        assert upstream.sent == []

    async def test_prices_are_those_that_are_billed(self, explain):
        data = await explain("smart")
        assert data["candidates"][2]["price"] == {"input": "1.5", "output": "2"}

    async def test_so_are_the_rules(self, explain):
        policy = (await explain("smart", messages=MESSAGES))["policy"]
        rate = policy.pop("rateLimit"), policy.pop("rateLimitRemaining")
        assert rate == (60, 59)
        assert policy == {
            "retries": 1,
            "deadlineSeconds": 90,
            "timeouts": {"connect": 1, "firstToken": 7, "idle": 8, "total": 90},
            "streamRecovery": "buffer",
            "hedgeAfter": 2,
            "session": None,
            "maxInFlight": 1000,
        }

    async def test_a_limit_of_the_callers_own_is_told(self, managed):
        key = {"name": "key", "allowance": {"requests_per_minute": 7}}
        made = (await managed.post("/api/v1/keys", json=key)).json()["data"]
        answer = await managed.post(
            "/api/v1/explain",
            json={"model": "gpt-4"},
            headers={"x-api-token": made["secret"]},
        )
        policy = answer.json()["data"]["policy"]
        assert (policy["rateLimit"], policy["rateLimitRemaining"]) == (7, None)

    async def test_what_the_caller_wishes_counts(self, explain):
        headers = {
            "x-llm-proxy-fallbacks": "openai/gpt-4",
            "x-llm-proxy-stream-recovery": "continue",
        }
        data = await explain("smart", headers=headers, messages=MESSAGES)
        assert data["candidates"][-1]["model"] == "gpt-4"
        assert data["policy"]["streamRecovery"] == "continue"

    async def test_who_cannot_do_it_is_told_why(self, explain):
        # Anthropic gives one answer to a question.
        data = await explain("smart", messages=MESSAGES, n=2)
        problems = [each["problem"] for each in data["candidates"]]
        assert problems[:2] == [None, None]
        assert problems[2]

    async def test_who_is_down_is_not_chosen(self, caller, explain, upstream):
        asking = caller(breaker_failures=1)
        upstream.fails(503)
        await asking.chat(model="gpt-4o")
        data = await explain("smart", asking, messages=MESSAGES)

        assert data["chosen"] == "elsewhere/unheard-of"
        health = data["candidates"][0]["health"]
        assert (health["state"], health["code"]) == ("open", "LLM_COOLING_DOWN")
        assert 0 < health["seconds"] <= 30

    async def test_if_all_are_that_is_the_problem(self, caller, explain, upstream):
        asking = caller(breaker_failures=1)
        upstream.fails(503)
        await asking.chat()
        data = await explain("openai/gpt-4", asking, messages=MESSAGES)
        assert (data["chosen"], data["problem"]) == (None, "LLM_COOLING_DOWN")

    async def test_it_does_not_try_who_is_half_open(self, caller, explain, upstream):
        asking = caller(breaker_failures=1, breaker_cooldown_seconds=0.001)
        upstream.fails(503)
        await asking.chat()
        for _ in range(2):
            data = await explain("openai/gpt-4", asking, messages=MESSAGES)
            assert data["candidates"][0]["health"]["state"] == "half_open"
            assert data["chosen"] == "openai/gpt-4"

    async def test_a_session_stays_where_it_is(self, caller, explain):
        asking = caller(rate_limit_enabled=False)
        chosen = {
            session: {
                (await explain("steady", asking, {"x-session-id": session}))["chosen"]
                for _ in range(5)
            }
            for session in map(str, range(20))
        }
        assert all(len(each) == 1 for each in chosen.values())
        assert len(set.union(*chosen.values())) > 1

    @pytest.mark.parametrize(
        ("fields", "chosen"),
        [
            ({"messages": MESSAGES}, "openai/gpt-4o-mini"),
            ({"prompt": "Hi"}, "openai/gpt-4o-mini"),
            ({"prompt": "Hi", "provider": "llm-proxy"}, "openai/gpt-4o-mini"),
        ],
    )
    async def test_a_choice_by_complexity_has_a_reason(self, explain, fields, chosen):
        data = await explain("auto", **fields)
        assert data["chosen"] == chosen
        assert "complexity" in data["reason"]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"model": "no-such-model"}, 404),
            ({"model": "nope", "provider": "llm-proxy"}, 400),
            ({}, 400),
            ({"model": 7}, 400),
            ([], 400),
        ],
    )
    async def test_what_leads_nowhere_is_an_error(self, caller, body, status):
        answer = await caller().post("/api/v1/explain", json=body)
        assert answer.status_code == status

    async def test_it_leaves_no_trace(self, caller):
        asking = caller()
        same = {"x-request-id": "the-same"}
        for path in ("/v1/chat/completions", "/api/v1/explain"):
            fields = {"model": "gpt-4", "messages": MESSAGES}
            answer = await asking.post(path, json=fields, headers=same)
        assert not [name for name in answer.headers if name.startswith("x-llm-proxy")]

        kept = (await asking.get("/api/v1/traces/the-same")).json()["data"]
        assert kept["answeredBy"] == "openai/gpt-4"

    async def test_strangers_learn_nothing(self, caller):
        asking = caller()
        for method, path in (("POST", "explain"), ("GET", "traces/x")):
            answer = await asking.request(
                method, f"/api/v1/{path}", headers={"x-api-token": "wrong"}
            )
            assert answer.status_code == 401


class TestTrace:
    async def test_it_tells_who_was_asked_and_why_not_others(self, caller, upstream):
        upstream.openai.respond(503)
        asking = caller(llm_fallback_provider="anthropic")
        id = (await asking.chat()).headers["x-llm-proxy-trace"]
        answer = await asking.get(f"/api/v1/traces/{id}")

        assert answer.status_code == 200
        data = answer.json()["data"]
        assert (data["id"], data["model"]) == (id, "gpt-4")
        assert data["answeredBy"] == "anthropic/claude-sonnet-4-5"
        failed, answered = data["attempts"]
        assert (failed["provider"], failed["model"]) == ("openai", "gpt-4")
        assert (failed["outcome"], failed["code"]) == ("failed", "LLM_UNAVAILABLE")
        assert failed["detail"] == "The language model provider is unavailable"
        assert (answered["outcome"], answered["code"]) == ("answered", None)
        assert failed["seconds"] >= 0 <= answered["waitedSeconds"]

    async def test_who_is_passed_over_has_a_reason(self, caller):
        asking = caller()
        fields = {"model": "picky", "messages": MESSAGES, "n": 2}
        answer = await asking.post("/v1/chat/completions", json=fields)
        id = answer.headers["x-llm-proxy-trace"]
        data = (await asking.get(f"/api/v1/traces/{id}")).json()["data"]

        assert data["answeredBy"] == "openai/o3"
        passed_over, answered = data["attempts"]
        assert (passed_over["provider"], answered["provider"]) == (
            "anthropic",
            "openai",
        )
        assert passed_over["outcome"] == "passed_over"
        assert answer.headers["x-llm-proxy-attempts"] == "1"
        assert passed_over["code"] == "UNSUPPORTED_FEATURE"
        assert passed_over["detail"]

    async def test_nobody_reads_that_of_others(self, caller):
        asking = caller()
        id = (await asking.chat()).headers["x-llm-proxy-trace"]
        for headers, status in ((ALICE, 200), (BOB, 404)):
            answer = await asking.get(f"/api/v1/traces/{id}", headers=headers)
            assert answer.status_code == status

    async def test_nor_takes_it_away_by_its_id(self, caller):
        asking = caller()
        for headers, model in ((ALICE, "gpt-4"), (BOB, "gpt-4o")):
            await asking.post(
                "/v1/chat/completions",
                json={"model": model, "messages": MESSAGES},
                headers=headers | {"x-request-id": "the-same"},
            )
        answer = await asking.get("/api/v1/traces/the-same")
        assert answer.json()["data"]["model"] == "gpt-4"

    async def test_what_is_not_there_is_not_found(self, caller):
        answer = await caller().get("/api/v1/traces/nothing")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"


class TestHeaders:
    async def test_an_answer_says_whose_it_is(self, caller):
        answer = await caller().chat()
        assert answer.headers["x-llm-proxy-trace"] == answer.headers["x-request-id"]
        assert answer.headers["x-llm-proxy-attempts"] == "1"
        assert answer.headers["x-llm-proxy-model"] == "openai/gpt-4"

    async def test_so_does_a_task(self, caller):
        answer = await caller().webhook(type="summary")
        assert answer.headers["x-llm-proxy-attempts"] == "1"
        assert answer.headers["x-llm-proxy-model"] == "openai/gpt-4"

    async def test_an_error_says_how_often_was_tried(self, caller, upstream):
        upstream.fails(503)
        asking = caller(retry_attempts=2, retry_min_seconds=0, retry_multiplier=0)
        answer = await asking.chat()
        assert answer.status_code == 502
        assert answer.headers["x-llm-proxy-trace"]
        assert answer.headers["x-llm-proxy-attempts"] == "2"
        assert "x-llm-proxy-model" not in answer.headers

    async def test_who_asks_nobody_is_told_nothing(self, caller):
        answer = await caller().get("/api/v1/models")
        assert not [name for name in answer.headers if name.startswith("x-llm-proxy")]

    @pytest.mark.integration
    @pytest.mark.parametrize("path", PATHS)
    async def test_streams_have_them_from_the_beginning(
        self, settings, restored_logging, tmp_path, path
    ):
        models = """
models:
  it: {deployments: [{model: one/fault-503}], fallbacks: [two/sandbox], retries: 0}
"""
        async with live(settings, tmp_path, models) as service:
            heard = await service.hear(path, "it")
            assert heard.headers["x-llm-proxy-trace"]
            assert heard.headers["x-llm-proxy-attempts"] == "2"
            assert heard.headers["x-llm-proxy-model"] == "two/sandbox"

"""Limits and budgets on the road of a call, over real sockets."""

import asyncio
import re
from decimal import Decimal

import httpx2
import pytest
from tests.live import ANTHROPIC, CHAT, OPENAI, PATHS, RESPONSES, Live, live, until

from llm_proxy.main import create_app
from llm_proxy.settings import ConfigurationError

pytestmark = pytest.mark.integration

# A token of an answer costs a millionth of a dollar, and one of a prompt nothing.
CONFIG = """
  gone: {api: openai, base_url: "http://127.0.0.1:1/v1", api_key: "${UPSTREAM_KEY}"}
prices:
  one/*: {input: 0, output: 1}
models:
  ten: {deployments: [{model: one/chunks-10}]}
  many: {deployments: [{model: one/slow-stream-50}]}
  faulty: {deployments: [{model: one/fault-502}], retries: 0}
  refusing: {deployments: [{model: one/fault-400}]}
  cut: {deployments: [{model: one/fault-cut}], retries: 0}
  mute: {deployments: [{model: one/fault-hang}], retries: 0}
  away: {deployments: [{model: gone/m}], retries: 0}
  unpriced: {deployments: [{model: two/chunks-10}]}
"""
TEN = 0.00001
LIMIT = 100_000
BUDGET = Decimal("0.02")
WAYS = [(path, stream) for path in PATHS for stream in (True, False)]


@pytest.fixture
def service(settings, restored_logging, tmp_path, sqlite_url):
    """Runs services with a database, whose llm-proxy.yaml has more in it."""

    def service(more: str = "", **overrides: object):
        values = {"database_url": sqlite_url, "spool_dir": tmp_path / "spool"}
        return live(settings, tmp_path, CONFIG + more, **values | overrides)

    return service


async def ask(
    caller: Live, path: str = CHAT, model: str = "ten", most: int = 10, **fields: object
) -> httpx2.Response:
    """Asks for an answer of so many tokens at most."""
    name = "max_output_tokens" if path == RESPONSES else "max_tokens"
    return await caller.ask(path, model, **{name: most}, **fields)


def left(answer: httpx2.Response, kind: str) -> int:
    return int(answer.headers[f"x-ratelimit-remaining-{kind}"])


class TestRates:
    @pytest.mark.parametrize("path", PATHS)
    async def test_requests_run_out(self, service, path):
        async with (
            service() as it,
            it.with_key(allowance={"requests_per_minute": 2}) as caller,
        ):
            answers = [await ask(caller, path) for _ in range(3)]
            assert [each.status_code for each in answers] == [200, 200, 429]
            assert [left(each, "requests") for each in answers[:2]] == [1, 0]
            assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
            assert 50 <= int(answers[2].headers["retry-after"]) <= 60
            assert len(it.received) == 2

    @pytest.mark.parametrize(("path", "stream"), WAYS)
    async def test_tokens_run_out(self, service, path, stream):
        async with (
            service() as it,
            it.with_key(allowance={"tokens_per_minute": 50}) as caller,
        ):
            first = await ask(caller, path, stream=stream)
            # What is not used comes back, so that all are told of less.
            assert left(first, "tokens") < 40
            assert first.headers["x-ratelimit-limit-tokens"] == "50"
            assert re.fullmatch(r"\d+s", first.headers["x-ratelimit-reset-tokens"])
            statuses = [first.status_code]
            while statuses[-1] == 200:
                answer = await ask(caller, path, stream=stream)
                statuses.append(answer.status_code)
            assert statuses[-1] == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert left(answer, "tokens") < 30
            assert len(it.received) == len(statuses) - 1

    async def test_they_settle_to_the_truth(self, service):
        async with (
            service() as it,
            it.with_key(allowance={"tokens_per_minute": LIMIT}) as caller,
        ):
            whole = LIMIT - left(await ask(caller, most=10), "tokens")
            ((used,),) = it.rows("input_tokens + output_tokens")
            assert used < whole
            # Much is set aside for the second one, and it does not use it.
            assert left(await ask(caller, most=5000), "tokens") < LIMIT - 5000
            assert left(await ask(caller), "tokens") == LIMIT - 2 * used - whole

    @pytest.mark.parametrize("path", PATHS)
    async def test_what_never_fits_is_the_callers_mistake(self, service, path):
        async with (
            service() as it,
            it.with_key(allowance={"tokens_per_minute": 50}) as caller,
        ):
            answer = await ask(caller, path, most=100)
            assert answer.status_code == 400
            assert "tokens per minute" in answer.text
            assert it.received == []

    @pytest.mark.parametrize("path", PATHS)
    async def test_calls_at_the_same_time_are_counted(self, service, path):
        async with (
            service() as it,
            it.with_key(allowance={"concurrent_requests": 1}) as caller,
        ):
            first = asyncio.create_task(caller.hear(path, "many"))
            await until(lambda: len(it.received) == 1)
            answer = await ask(caller, path)
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert (await first).is_whole
            assert (await ask(caller, path)).status_code == 200

    async def test_many_at_once_never_get_more(self, service):
        async with (
            service() as it,
            it.with_key(allowance={"requests_per_minute": 7}) as caller,
        ):
            answers = await asyncio.gather(*(ask(caller, path) for path in PATHS * 5))
            assert sum(each.status_code == 200 for each in answers) == 7
            assert len(it.received) == 7


class TestBudgets:
    @pytest.mark.parametrize(
        ("path", "error"),
        [
            (CHAT, {"code": "BUDGET_EXCEEDED"}),
            (OPENAI, {"code": "budget_exceeded", "type": "insufficient_quota"}),
            (RESPONSES, {"code": "budget_exceeded", "type": "insufficient_quota"}),
            (ANTHROPIC, {"type": "billing_error"}),
        ],
    )
    @pytest.mark.parametrize("stream", [True, False])
    async def test_money_runs_out(self, service, path, error, stream):
        async with (
            service() as it,
            it.with_key(allowance={"budgets": {"day": 2 * TEN}}) as caller,
        ):
            answers = [await ask(caller, path, stream=stream) for _ in range(3)]
            assert [each.status_code for each in answers] == [200, 200, 402]
            refusal = answers[-1]
            assert refusal.headers["x-should-retry"] == "false"
            assert "retry-after" not in refusal.headers
            assert error.items() <= refusal.json()["error"].items()
            assert [nanos for (nanos,) in it.rows("cost_nanos")] == [10_000, 10_000]

    @pytest.mark.parametrize(
        ("path", "most"),
        # Anthropic's API wants to be told.
        [
            *((path, 30) for path in PATHS),
            (CHAT, None),
            (OPENAI, None),
            (RESPONSES, None),
        ],
    )
    async def test_a_refusal_says_what_is_missing(self, service, path, most):
        sentence = "it may cost up to $0.00003, and $0.00002 is left"
        if most is None:
            sentence = (
                "it may cost up to $0.00004, and $0.00002 is left; max_tokens is not "
                "given, so 40 output tokens are set aside"
            )
        async with (
            service(reserved_output_tokens=40) as it,
            it.with_key(allowance={"budgets": {"total": 2 * TEN}}) as caller,
        ):
            answer = await ask(caller, path, most=most)
            assert answer.status_code == 402
            message = answer.json()["error"]["message"]
            assert message.endswith(f" (total) does not cover the call: {sentence}")

    async def test_models_that_it_does_not_bound_are_told_once(self, service, logs):
        async with (
            service() as it,
            it.with_key(allowance={"budgets": {"total": 1}}) as caller,
        ):
            for model in ("unpriced", "unpriced", "ten", "gone/unheard-of"):
                await ask(caller, OPENAI, model)
            await ask(it, OPENAI, "two/sandbox")
            told = [
                (each["provider"], each["model"]) for each in logs("budget_unpriced")
            ]
            assert told == [("two", "chunks-10")]

    async def test_it_is_warned_of(self, service, logs):
        async with (
            service() as it,
            it.with_key(allowance={"budgets": {"total": 0.001, "warn_at": 0.5}}) as key,
        ):
            name = "x-llm-proxy-budget-warning"
            assert name not in (await ask(key)).headers
            for _ in range(2):
                warned = await ask(key, most=600)
                assert warned.headers[name] in ("key total 61%", "key total 62%")
            [line] = logs("budget_warning")
            assert (line["level"], line["period"]) == ("warn", "total")

    @pytest.mark.parametrize(
        "fields",
        [
            {"max_completion_tokens": 1, "max_tokens": 10},
            {"max_completion_tokens": 10, "max_tokens": 1},
            {"max_tokens": 0},
            {"max_tokens": None},
            {"max_tokens": 5, "n": 2},
        ],
        ids=str,
    )
    async def test_what_is_set_aside_is_the_most_that_is_asked(self, service, fields):
        async with (
            service(reserved_output_tokens=10) as it,
            it.with_key(allowance={"budgets": {"total": 0.9 * TEN}}) as caller,
        ):
            answer = await caller.ask(OPENAI, "ten", **fields)
            assert answer.status_code == 402
            assert it.received == []

    async def test_many_at_once_never_spend_more(self, service):
        async with (
            service() as it,
            it.with_key(allowance={"budgets": {"total": 5 * TEN}}) as caller,
        ):
            answers = await asyncio.gather(*(ask(caller, path) for path in PATHS * 5))
            assert sorted({each.status_code for each in answers}) == [200, 402]
            assert sum(each.status_code == 200 for each in answers) == 5

    async def test_it_outlives_the_process(self, service):
        async with service() as it:
            body = {"name": "key", "allowance": {"budgets": {"month": 2 * TEN}}}
            made = (await it.client.post("/api/v1/keys", json=body)).json()["data"]
            headers = {"authorization": f"Bearer {made['secret']}"}
            it.client.headers.update(headers)
            assert (await ask(it)).status_code == 200
        async with service() as it:
            it.client.headers.update(headers)
            assert [(await ask(it)).status_code for _ in range(2)] == [200, 402]

    async def test_that_of_a_model_does_so_by_all_its_names(self, service):
        more = "limits: {models: {ten: {budgets: {total: 0.00003}}}}\n"
        async with service(more) as it:
            for name in ("llm-proxy/ten", "ten"):
                assert (await ask(it, OPENAI, name)).status_code == 200
        async with service(more) as it:
            statuses = [(await ask(it, OPENAI, "ten")).status_code for _ in range(2)]
            assert statuses == [200, 402]

    async def test_what_nobody_can_price_costs_nothing(self, service):
        async with (
            service() as it,
            it.with_key(allowance={"budgets": {"total": 0}}) as caller,
        ):
            assert (await ask(caller)).status_code == 402
            assert (await ask(caller, model="unpriced")).status_code == 200
            assert it.rows("cost_nanos, cost_source") == [(0, "unknown")]

    async def test_or_is_refused(self, service):
        async with (
            service("unknown_price: refuse\n") as it,
            it.with_key(allowance={"budgets": {"total": 1}}) as caller,
        ):
            assert (await ask(caller, model="unpriced")).status_code == 400
            assert it.received == []


class TestEveryExit:
    """However a call ends, what it has not used comes back, all of it and at once."""

    @pytest.fixture
    async def keyed(self, service):
        allowance = {
            "tokens_per_minute": LIMIT,
            "concurrent_requests": 1,
            "budgets": {"total": str(BUDGET)},
        }
        async with (
            service(request_deadline=30.0, v1_timeout=30.0) as it,
            it.with_key(allowance=allowance) as caller,
        ):
            # So much is set aside for a probe.
            self.whole = LIMIT - left(await ask(caller), "tokens")
            await until(lambda: len(it.rows("id")) == 1)
            yield caller

    async def check(self, caller: Live, rows: int) -> None:
        """Compares the counters with the ledger."""
        await until(lambda: len(caller.rows("id")) == 1 + rows)
        found = caller.rows("input_tokens + output_tokens, cost_nanos")
        tokens, nanos = (sum(each) for each in zip(*found, strict=True))
        dear = await ask(caller, most=50_000)
        assert dear.status_code == 402, dear.text
        remaining = dear.json()["error"]["details"][0]["remaining"]
        assert BUDGET - Decimal(remaining) == Decimal(nanos).scaleb(-9)
        probe = await ask(caller)
        assert probe.status_code == 200
        assert left(probe, "tokens") == LIMIT - tokens - self.whole
        await until(lambda: caller.rows("id", "reservations") == [])

    @pytest.mark.parametrize(
        ("model", "rows"),
        [("faulty", 1), ("refusing", 1), ("cut", 1), ("away", 0), ("none", 0)],
    )
    async def test_failures(self, keyed, model, rows):
        for path, stream in WAYS:
            answer = await ask(keyed, path, model=model, stream=stream)
            assert answer.status_code not in (402, 429)
        await self.check(keyed, rows * len(WAYS))

    @pytest.mark.parametrize("path", PATHS)
    async def test_hang_ups_in_the_middle(self, keyed, path):
        await keyed.hang_up(path, "many")
        await self.check(keyed, 1)

    @pytest.mark.parametrize(("path", "stream"), WAYS)
    async def test_hang_ups_before_the_first_word(self, keyed, path, stream):
        asking = asyncio.create_task(ask(keyed, path, model="mute", stream=stream))
        await until(lambda: len(keyed.received) == 2)
        asking.cancel()
        await self.check(keyed, 1)

    async def test_what_makes_no_sense(self, keyed):
        for path in PATHS:
            answer = await ask(keyed, path, most="ten")
            assert answer.status_code == 400
        await self.check(keyed, len(keyed.received) - 1)

    async def test_the_callers_patience(self, keyed):
        headers = {"x-request-timeout": "0.2"}
        heard = await keyed.hear(OPENAI, "mute", headers=headers, max_tokens=10)
        assert heard.status == 504
        await self.check(keyed, 1)

    async def test_whole_answers(self, keyed):
        for path, stream in WAYS:
            answer = await ask(keyed, path, stream=stream)
            assert answer.status_code == 200
        await self.check(keyed, len(WAYS))


LIMITS = """
limits:
  {section}:
    {name}: {{requests_per_minute: 2}}
"""


class TestTheOperatorsLimits:
    @pytest.mark.parametrize(
        ("section", "name", "own", "others"),
        [
            ("users", "zoe", {"owner": "zoe"}, {"owner": "yan"}),
            (
                "users",
                "acme/zoe",
                {"owner": "zoe", "organisation": "acme"},
                {"owner": "zoe", "organisation": "other"},
            ),
            ("teams", "red", {"team": "red"}, {"team": "blue"}),
            (
                "teams",
                "acme/red",
                {"team": "red", "organisation": "acme"},
                {"team": "red"},
            ),
            ("organisations", "acme", {"organisation": "acme"}, {"team": "acme"}),
        ],
    )
    async def test_all_keys_of_somebody_share_them(
        self, service, section, name, own, others
    ):
        async with (
            service(LIMITS.format(section=section, name=name)) as it,
            it.with_key(**own) as first,
            it.with_key(**own) as second,
            it.with_key(**others) as stranger,
        ):
            callers = (first, second, first, second)
            statuses = [(await ask(caller)).status_code for caller in callers]
            assert statuses == [200, 200, 429, 429]
            statuses = [(await ask(stranger)).status_code for _ in range(3)]
            assert statuses == [200, 200, 200]

    @pytest.mark.parametrize(
        "name", ["ten", "TEN", "one/chunks-10"], ids=["alias", "case", "deployment"]
    )
    async def test_all_callers_of_a_model_share_them(self, service, name):
        """By whatever name they call it."""
        async with (
            service(LIMITS.format(section="models", name=name)) as it,
            it.with_key() as caller,
        ):
            assert (await ask(caller, OPENAI, "ten")).status_code == 200
            assert (await ask(it, OPENAI, "llm-proxy/ten")).status_code == 200
            for asking in (caller, it):
                assert (await ask(asking, CHAT, "ten")).status_code == 429
            assert (await ask(caller, model="unpriced")).status_code == 200

    async def test_they_bound_tokens_of_settings_as_well(self, service):
        """Without a database there are only those, and only of models."""
        more = LIMITS.format(section="models", name="ten")
        async with service(more, database_url="off") as it:
            statuses = [(await ask(it)).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]

    def test_budgets_need_a_database(self, settings, tmp_path, restored_logging):
        (tmp_path / "llm-proxy.yaml").write_text(
            "limits: {teams: {red: {budgets: {month: 20}}}}"
        )
        with pytest.raises(ConfigurationError, match="budgets need a database"):
            create_app(settings())

    async def test_the_tightest_is_told(self, service):
        more = LIMITS.format(section="models", name="ten")
        async with (
            service(more) as it,
            it.with_key(allowance={"requests_per_minute": 10}) as caller,
        ):
            answer = await ask(caller)
            assert answer.headers["x-ratelimit-limit-requests"] == "2"
            await ask(caller)
            refusal = await ask(caller)
            assert refusal.json()["error"]["details"] == [
                {
                    "limit": "requests_per_minute",
                    "subject": "model:ten",
                    "remaining": 0,
                }
            ]
            # Nothing was taken from the key's own.
            other = await ask(caller, model="unpriced")
            assert left(other, "requests") == 7


async def test_a_model_that_the_caller_names_as_a_fallback_is_bounded_too(service):
    limits = "limits: {models: {ten: {requests_per_minute: 1}}}\n"
    async with service(limits) as it:
        assert (await ask(it)).status_code == 200
        it.client.headers["x-llm-proxy-fallbacks"] = "ten"
        answer = await ask(it, model="faulty")
        assert answer.status_code == 429
        assert "model:ten" in answer.text

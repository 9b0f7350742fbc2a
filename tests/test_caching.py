"""The cache on the road of a call, over real sockets and as the SDKs meet it."""

import asyncio

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from tests.live import ANTHROPIC, CHAT, OPENAI, PATHS, RESPONSES, body_for, live, until

pytestmark = pytest.mark.integration

CONFIG = """
models:
  it: {deployments: [{model: one/sandbox}]}
  claude: {deployments: [{model: claude/sandbox}]}
  late: {deployments: [{model: one/slow-first-token-300}]}
  slow: {deployments: [{model: one/slow-stream-20}]}
  cut: {deployments: [{model: one/fault-cut}], retries: 0}
  faulty: {deployments: [{model: one/fault-502}], retries: 0}
  tools: {deployments: [{model: one/tool-calls}]}
  dear: {deployments: [{model: one/chunks-10}]}
prices:
  one/chunks-10: {input: 0, output: 2000}
"""
HELLO = [{"role": "user", "content": "Hello there"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "send",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    },
}
USED = "x-llm-proxy-cache"


@pytest.fixture
def service(settings, restored_logging, tmp_path, sqlite_url):
    """Runs services that cache everything they may, and have a database."""

    def service(**overrides: object):
        values = {
            "database_url": sqlite_url,
            "spool_dir": tmp_path / "spool",
            "cache_policy": "all",
            "cache_surfaces": "chat,webhook,openai,anthropic",
        }
        return live(settings, tmp_path, CONFIG, **values | overrides)

    return service


def fields_for(path: str) -> dict:
    """Responses are kept elsewhere, unless their callers do not want that."""
    return {"store": False} if path == RESPONSES else {}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_hit_costs_nothing_and_leaves_no_row(service, path, stream):
    async with (
        service() as it,
        it.with_key(allowance={"requests_per_minute": 1}) as caller,
    ):
        asked = fields_for(path) | {"stream": stream}
        answers = [await caller.ask(path, "it", **asked) for _ in range(3)]
        assert [each.headers[USED] for each in answers] == ["miss", "hit", "hit"]
        assert len(it.received) == 1
        assert it.rows("cache, status") == [("miss", "answered")]
        for hit in answers[1:]:
            assert "x-ratelimit-limit-requests" not in hit.headers
            assert hit.headers["x-llm-proxy-attempts"] == "0"
            assert hit.headers["x-llm-proxy-model"] == "one/sandbox"
        # What is asked of somebody takes from the limit.
        other = await caller.ask(path, "it", "Another", **asked)
        assert other.status_code == 429


class TestSDKs:
    @pytest.fixture
    async def sdks(self, service):
        async with service() as it:
            url = str(it.client.base_url).rstrip("/")
            token = "test_token"  # pragma: allowlist secret
            openai = AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
            anthropic = AsyncAnthropic(base_url=url, api_key=token, max_retries=0)
            async with openai, anthropic:
                yield openai, anthropic
            # Each was asked twice, and somebody once.
            assert len(it.received) == 1

    @pytest.mark.parametrize("model", ["it", "claude"])
    async def test_chat_completions(self, sdks, model):
        openai, _ = sdks
        first, second = [
            await openai.chat.completions.create(model=model, messages=HELLO)
            for _ in range(2)
        ]
        assert first.id != second.id
        assert first.choices == second.choices
        assert first.usage == second.usage

    @pytest.mark.parametrize("model", ["it", "claude"])
    async def test_streamed_chat_completions(self, sdks, model):
        openai, _ = sdks
        heard = []
        for _ in range(2):
            stream = await openai.chat.completions.create(
                model=model,
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": True},
            )
            heard.append([chunk async for chunk in stream])
        ids = [{chunk.id for chunk in chunks} for chunks in heard]
        assert [len(each) for each in ids] == [1, 1]
        assert ids[0] != ids[1]
        texts = [
            "".join(
                chunk.choices[0].delta.content or ""
                for chunk in chunks
                if chunk.choices
            )
            for chunks in heard
        ]
        assert texts[0] == texts[1] == 'The sandbox read: "Hello there"'
        assert heard[0][-1].usage == heard[1][-1].usage

    @pytest.mark.parametrize("model", ["it", "claude"])
    async def test_messages(self, sdks, model):
        _, anthropic = sdks
        first, second = [
            await anthropic.messages.create(model=model, messages=HELLO, max_tokens=99)
            for _ in range(2)
        ]
        assert first.id != second.id
        assert first.content == second.content
        assert first.usage == second.usage

    @pytest.mark.parametrize("model", ["it", "claude"])
    async def test_streamed_messages(self, sdks, model):
        _, anthropic = sdks
        heard = []
        for _ in range(2):
            async with anthropic.messages.stream(
                model=model, messages=HELLO, max_tokens=99
            ) as stream:
                heard.append(await stream.get_final_message())
        first, second = heard
        assert first.id != second.id
        assert first.content == second.content
        assert first.usage == second.usage

    async def test_responses(self, sdks):
        openai, _ = sdks
        first, second = [
            await openai.responses.create(model="it", input="Hello there", store=False)
            for _ in range(2)
        ]
        assert first.id != second.id
        assert first.output_text == second.output_text

    async def test_streamed_responses(self, sdks):
        openai, _ = sdks
        heard = []
        for _ in range(2):
            async with openai.responses.stream(
                model="it", input="Hello there", store=False
            ) as stream:
                heard.append(await stream.get_final_response())
        first, second = heard
        assert first.id != second.id
        assert first.output_text == second.output_text
        assert first.usage == second.usage


class TestOneFlight:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [True, False])
    async def test_of_ten_one_asks(self, service, path, stream):
        async with service() as it:
            asked = fields_for(path) | {"stream": stream}
            asking = [it.ask(path, "late", **asked) for _ in range(10)]
            answers = await asyncio.gather(*asking)
            assert {each.status_code for each in answers} == {200}
            used = sorted(each.headers[USED] for each in answers)
            assert used == ["hit"] * 9 + ["miss"]
            assert len(it.received) == len(it.rows("id")) == 1

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [True, False])
    async def test_who_waits_asks_if_the_first_one_hangs_up(
        self, service, path, stream
    ):
        async with service() as it:
            asked = fields_for(path) | {"stream": stream}
            leader = asyncio.create_task(it.ask(path, "late", **asked))
            await until(lambda: len(it.received) == 1)
            follower = asyncio.create_task(it.ask(path, "late", **asked))
            await asyncio.sleep(0.05)
            leader.cancel()
            answer = await follower
            assert (answer.status_code, answer.headers[USED]) == (200, "miss")
            assert len(it.received) == 2

    @pytest.mark.parametrize("path", [CHAT, OPENAI, ANTHROPIC])
    async def test_nor_is_anybody_left_with_half_a_stream(self, service, path):
        async with service() as it:
            body = body_for(path, "slow", "one two three four five")
            async with it.client.stream("POST", path, json=body) as leader:
                await anext(leader.aiter_raw())
                follower = asyncio.create_task(it.client.post(path, json=body))
                await asyncio.sleep(0.05)
            answer = await follower
            assert (answer.status_code, answer.headers[USED]) == (200, "miss")
            assert "five" in answer.text
            assert len(it.received) == 2

    async def test_a_failure_is_everybodys_own(self, service):
        async with service() as it:
            asking = [it.ask(CHAT, "faulty") for _ in range(3)]
            answers = await asyncio.gather(*asking)
            assert {each.status_code for each in answers} == {502}
            assert len(it.received) == 3


class TestWhatIsNotKept:
    async def ask_twice(self, it, path: str, model: str = "it", **fields) -> int:
        """Asks twice the same; says how often the upstream was asked."""
        for _ in range(2):
            await it.ask(path, model, **fields_for(path) | fields)
        return len(it.received)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [True, False])
    async def test_personal_data(self, service, path, stream):
        async with service() as it:
            prompt = "Write to anna@example.com"
            assert await self.ask_twice(it, path, prompt=prompt, stream=stream) == 2

    async def test_personal_data_in_an_earlier_turn(self, service):
        async with service() as it:
            turns = [
                {"role": "user", "content": "I am anna@example.com"},
                {"role": "assistant", "content": "Hello"},
                *HELLO,
            ]
            for path in (OPENAI, ANTHROPIC):
                await self.ask_twice(it, path, messages=turns)
            assert len(it.received) == 4

    @pytest.mark.parametrize("stream", [True, False])
    async def test_tools(self, service, stream):
        async with service() as it:
            await self.ask_twice(it, OPENAI, "tools", tools=[TOOL], stream=stream)
            await self.ask_twice(it, OPENAI, "it", tools=[TOOL], stream=stream)
            assert len(it.received) == 4

    @pytest.mark.parametrize("path", PATHS)
    async def test_streams_that_die(self, service, path):
        async with service() as it:
            assert await self.ask_twice(it, path, "cut", stream=True) == 2

    async def test_stored_responses_whatever_they_are_for(self, service):
        async with service() as it:
            it.client.headers["x-llm-proxy-feature"] = "summaries"
            for _ in range(2):
                await it.ask(RESPONSES, "it")
            assert len(it.received) == 2

    async def test_answers_that_a_task_cannot_use(self, client, upstream):
        upstream.says("Who knows?", '{"label": "positive", "score": 0.9}')
        caller = client(cache_policy="all")
        answers = [await caller.webhook(type="sentiment") for _ in range(2)]
        told = [each.json()["summary"] for each in answers]
        assert told == ["positive (0.90)"] * 2
        assert [each.headers[USED] for each in answers] == ["miss", "hit"]
        assert len(upstream.sent) == 2


class TestWhoseAnswersTheyAre:
    @pytest.mark.parametrize("path", PATHS)
    async def test_keys_never_share(self, service, path):
        async with (
            service() as it,
            it.with_key(organisation="acme", team="red") as first,
            it.with_key(organisation="acme", team="red") as second,
        ):
            for caller in (first, second, first, second):
                await caller.ask(path, "it", **fields_for(path))
            assert len(it.received) == 2
            owners = {name for (name,) in it.rows("principal")}
            assert len(owners) == 2

    async def test_what_is_forgotten_is_asked_again(self, service):
        async with service() as it, it.with_key(role="operator") as operator:
            for caller in (it, operator):
                await caller.ask(CHAT, "it")
            owns = {"tenant": it.rows("principal")[1][0]}
            for query, expected in ((owns, ["hit", "miss"]), ({}, ["miss", "miss"])):
                purged = await operator.client.delete("/api/v1/cache", params=query)
                assert purged.status_code == 200
                used = [
                    (await caller.ask(CHAT, "it")).headers[USED]
                    for caller in (it, operator)
                ]
                assert used == expected

    async def test_what_one_may_no_longer_ask_is_refused(self, service):
        """Also if the answer is there."""
        async with service() as it, it.with_key(models=["it"]) as caller:
            await it.ask(CHAT, "claude")
            assert (await caller.ask(CHAT, "claude")).status_code == 403


@pytest.mark.parametrize("database", ["off", "sqlite"])
async def test_smart_caching_knows_what_an_answer_has_cost(service, tmp_path, database):
    overrides = {} if database == "sqlite" else {"database_url": "off"}
    async with service(cache_policy="smart", **overrides) as it:
        for model in ("dear", "it"):
            used = [(await it.ask(CHAT, model)).headers[USED] for _ in range(2)]
            assert used[1] == ("hit" if model == "dear" else "miss")

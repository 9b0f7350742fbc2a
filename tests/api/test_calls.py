"""What callers may wish for in headers."""

import asyncio
import time

import pytest
from tests.live import CHAT, OPENAI, PATHS, body_for, live, until

MESSAGES = [{"role": "user", "content": "Hi"}]
LONG = "one two three four five six seven eight nine ten eleven twelve"
SDK_TIMEOUTS = ("x-stainless-timeout", "x-stainless-read-timeout")
MODELS = """
models:
  hangs: {deployments: [{model: one/fault-hang}]}
  late: {deployments: [{model: one/slow-first-token-3000}]}
  slow: {deployments: [{model: one/slow-stream-100}]}
  cut: {deployments: [{model: one/fault-cut}], retries: 0}
"""


@pytest.fixture
def service(settings, restored_logging, tmp_path):
    return lambda **overrides: live(settings, tmp_path, MODELS, **overrides)


class TestFallbacks:
    @pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions"])
    async def test_they_are_asked_in_their_order(self, client, upstream, path):
        upstream.openai.respond(503)
        headers = {
            "x-llm-proxy-fallbacks": "openai/gpt-4o, anthropic/claude-sonnet-4-5"
        }
        body = {"provider": "openai", "model": "gpt-4", "prompt": "Hi"}
        if path != "/chat":
            body = {"model": "gpt-4", "messages": MESSAGES}
        answer = await client().post(path, json=body, headers=headers)

        assert answer.status_code == 200
        models = [sent["model"] for sent in upstream.sent]
        assert models == ["gpt-4", "gpt-4o", "claude-sonnet-4-5"]
        assert answer.headers["x-llm-proxy-model"] == "anthropic/claude-sonnet-4-5"
        assert answer.headers["x-llm-proxy-attempts"] == "3"

    async def test_one_that_nobody_knows_is_the_callers_mistake(self, client, upstream):
        headers = {"x-llm-proxy-fallbacks": "no-such-model"}
        fields = {"model": "gpt-4", "messages": MESSAGES}
        answer = await client().post(OPENAI, json=fields, headers=headers)
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (
            "model_not_found",
            "x-llm-proxy-fallbacks",
        )
        assert "The model 'no-such-model' does not exist" in error["message"]
        assert upstream.sent == []

    @pytest.mark.parametrize(
        "headers",
        [
            [("x-llm-proxy-fallbacks", ",".join(["openai/gpt-4o"] * 9))],
            [("x-llm-proxy-stream-recovery", "maybe")],
            *(
                [("x-request-timeout", seconds)]
                for seconds in ("", "0", "-1", "nan", "inf", "soon", "5s")
            ),
        ],
        ids=lambda headers: headers[0][1][:20],
    )
    async def test_wishes_that_make_no_sense_are_refused(
        self, client, upstream, headers
    ):
        fields = {"model": "gpt-4", "messages": MESSAGES}
        answer = await client().post(OPENAI, json=fields, headers=dict(headers))
        assert answer.status_code == 400
        assert headers[0][0] in answer.text
        assert upstream.sent == []

    async def test_a_list_in_many_parts_is_no_longer(self, client, upstream):
        upstream.openai.respond(503)
        names = [f"openai/model-{number}" for number in range(40)]
        headers = [("x-llm-proxy-fallbacks", name) for name in names]
        headers.append(("x-api-token", "test_token"))
        fields = {"model": "gpt-4", "messages": MESSAGES}
        await client(headers={}).post(OPENAI, json=fields, headers=headers)
        assert len(upstream.sent) <= 9


@pytest.mark.integration
class TestRecovery:
    @pytest.mark.parametrize("path", PATHS)
    async def test_a_caller_may_want_all_or_nothing(self, service, path):
        headers = {
            "x-llm-proxy-stream-recovery": "buffer",
            "x-llm-proxy-fallbacks": "two/sandbox",
        }
        async with service() as it:
            heard = await it.hear(path, "cut", "one two", headers)
            assert heard.text == 'The sandbox read: "one two"'
            assert heard.is_whole


@pytest.mark.integration
class TestTimeout:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    async def test_silence_ends_by_then(self, service, path, stream):
        async with service() as it:
            begun = time.monotonic()
            body = body_for(path, "hangs", stream=stream)
            answer = await it.client.post(
                path, json=body, headers={"x-request-timeout": "0.2"}
            )
            assert answer.status_code == 504
            assert 0.2 <= time.monotonic() - begun < 5
            await it.until_idle()

    @pytest.mark.parametrize("path", PATHS)
    async def test_streams_are_cut_by_then(self, service, path):
        async with service() as it:
            heard = await it.hear(path, "slow", LONG, {"x-request-timeout": "0.6"})
            assert heard.status == 200
            assert heard.text
            assert not heard.is_whole
            assert heard.error
            await it.until_idle()

    async def test_it_does_not_lengthen_what_the_operator_allows(self, service):
        async with service(stream_deadline=0.4) as it:
            heard = await it.hear(CHAT, "slow", LONG, {"x-request-timeout": "500"})
            assert heard.error == "LLM_TIMEOUT"
        async with service(request_deadline=0.2) as it:
            heard = await it.hear(CHAT, "hangs", LONG, {"x-request-timeout": "500"})
            assert heard.status == 504

    async def test_to_wait_for_a_place_takes_its_time(self, service):
        async with service(max_in_flight=1, queue_timeout=10) as it:
            first = asyncio.create_task(it.hear(CHAT, "late"))
            await until(lambda: it.app.state.places.taken)
            begun = time.monotonic()
            heard = await it.hear(CHAT, "slow", "Hi", {"x-request-timeout": "0.2"})
            assert heard.status == 503
            assert time.monotonic() - begun < 2
            assert (await first).is_whole

    async def test_what_is_left_after_it_is_for_the_answer(self, service):
        async with service(max_in_flight=1, queue_timeout=10) as it:
            first = asyncio.create_task(it.hear(CHAT, "slow"))
            await until(lambda: it.app.state.places.taken)
            begun = time.monotonic()
            heard = await it.hear(CHAT, "late", "Hi", {"x-request-timeout": "2"})
            assert heard.status == 504
            assert time.monotonic() - begun < 2.5
            assert (await first).is_whole

    @pytest.mark.parametrize("header", SDK_TIMEOUTS)
    async def test_sdks_wait_so_long_for_the_first_word(self, service, header):
        async with service() as it:
            heard = await it.hear(OPENAI, "late", "Hi", {header: "0.3"})
            assert heard.status == 504

    @pytest.mark.parametrize("header", SDK_TIMEOUTS)
    async def test_and_not_for_the_last(self, service, header):
        async with service() as it:
            heard = await it.hear(OPENAI, "slow", LONG, {header: "0.9"})
            assert heard.is_whole

    @pytest.mark.parametrize("seconds", ["NOT_GIVEN", "None", "-1", ""])
    async def test_what_they_say_otherwise_is_not_minded(self, client, seconds):
        fields = {"model": "gpt-4", "messages": MESSAGES}
        headers = {"x-stainless-timeout": seconds}
        answer = await client().post(OPENAI, json=fields, headers=headers)
        assert answer.status_code == 200

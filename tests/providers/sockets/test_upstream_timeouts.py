"""How long an upstream may take, for all models and for one, over real sockets."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import pytest
from tests.live import CHAT, PATHS, body_for, live

pytestmark = pytest.mark.integration

PROMPT = "one two three four five six"
ANSWER = f'The sandbox read: "{PROMPT}"'
MODELS = """
models:
  it:
    deployments: [{{model: {model}}}]
    fallbacks: [{then}]
    retries: 2
    timeouts: {{{timeouts}}}
"""


@pytest.fixture
def service(settings, restored_logging, tmp_path):
    """Runs services with a model called `it` and its own time-outs."""

    def service(model: str, timeouts: str, then: str = "", **overrides: object):
        models = MODELS.format(model=model, timeouts=timeouts, then=then)
        return live(settings, tmp_path, models, **overrides)

    return service


@asynccontextmanager
async def chatterbox():
    """An upstream that begins a stream, and then says nothing but comments."""

    writers = []

    async def chatter(reader, writer):
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"connection: close\r\n\r\n"
        )
        with suppress(ConnectionError):
            while True:
                writer.write(b": nothing yet\n\n")
                await writer.drain()
                await asyncio.sleep(0.05)

    server = await asyncio.start_server(chatter, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for writer in writers:
            writer.transport.abort()


class TestFirstToken:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    async def test_silence_is_a_time_out(self, service, path, stream):
        async with service("one/fault-hang", "first_token: 0.2") as it:
            body = body_for(path, "it", stream=stream)
            answer = await it.client.post(path, json=body)
            assert answer.status_code == 504
            # It may still be at work on the first request.
            assert it.asked == ["fault-hang"]
            await it.until_idle()

    @pytest.mark.parametrize(
        "model", ["fault-hang-after-headers", "slow-first-token-9999"]
    )
    async def test_a_head_is_no_token(self, service, model):
        async with service(f"one/{model}", "first_token: 0.2") as it:
            assert (await it.hear(CHAT, "it")).status == 504

    async def test_nor_is_a_comment(self, service):
        async with (
            chatterbox() as url,
            service(
                "groq/any",
                "first_token: 0.3",
                groq_base_url=url,
                groq_api_key="any",
            ) as it,
        ):
            heard = await it.hear(CHAT, "it")
            assert heard.status == 504

    async def test_the_next_is_asked(self, service):
        async with service("one/fault-hang", "first_token: 0.2", "two/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            assert (heard.text, heard.is_whole) == (ANSWER, True)
            assert it.asked == ["fault-hang", "sandbox"]

    async def test_other_models_have_their_own(self, service):
        async with service("one/slow-first-token-500", "first_token: 0.1") as it:
            heard = await it.hear(CHAT, "slow-first-token-500", PROMPT, provider="one")
            assert heard.is_whole
            assert (await it.hear(CHAT, "it", PROMPT)).status == 504


class TestIdle:
    @pytest.mark.parametrize("path", PATHS)
    async def test_silence_after_the_first_token_ends_a_stream(self, service, path):
        async with service("one/fault-stalled", "idle: 0.2") as it:
            begun = time.monotonic()
            heard = await it.hear(path, "it", PROMPT)
            assert time.monotonic() - begun < 10
            assert heard.text
            assert not heard.is_whole
            assert heard.error
            await it.until_idle()

    async def test_it_is_no_bound_before(self, service):
        async with service(
            "one/slow-first-token-500", "idle: 0.1, first_token: 20"
        ) as it:
            assert (await it.hear(CHAT, "it", PROMPT)).is_whole

    @pytest.mark.parametrize("path", PATHS)
    async def test_a_slow_but_steady_stream_is_never_cut(self, service, path):
        bounds = "first_token: 0.8, idle: 0.8"
        async with service("one/slow-stream-100", bounds, request_timeout=0.8) as it:
            begun = time.monotonic()
            heard = await it.hear(path, "it", PROMPT)
            assert time.monotonic() - begun > 0.8
            assert (heard.text, heard.is_whole) == (ANSWER, True)

    async def test_pings_count(self, service):
        async with service("one/fault-drip-20", "idle: 0.4, total: 1.2") as it:
            begun = time.monotonic()
            heard = await it.hear(CHAT, "it", PROMPT)
            assert time.monotonic() - begun > 1
            assert heard.error == "LLM_TIMEOUT"


class TestTotal:
    @pytest.mark.parametrize("path", PATHS)
    async def test_a_stream_is_over_by_then(self, service, path):
        async with service("one/slow-stream-100", "total: 0.6") as it:
            heard = await it.hear(path, "it", PROMPT)
            assert heard.text
            assert not heard.is_whole
            assert heard.error
            await it.until_idle()

    async def test_a_model_may_take_longer_than_the_others(self, service):
        async with service(
            "one/slow-stream-100", "total: 20", stream_deadline=0.3
        ) as it:
            assert (await it.hear(CHAT, "it", PROMPT)).is_whole

    async def test_all_attempts_are(self, service):
        async with service("one/fault-503-retry-after", "total: 0.5") as it:
            begun = time.monotonic()
            answer = await it.client.post(CHAT, json=body_for(CHAT, "it", stream=False))
            assert answer.status_code in (502, 503, 504)
            assert time.monotonic() - begun < 5


class TestConnect:
    async def test_who_does_not_take_the_call_is_not_there(self, service):
        async with service(
            "sandbox/fault-connect-hang", "connect: 0.2", "two/sandbox"
        ) as it:
            begun = time.monotonic()
            heard = await it.hear(CHAT, "it", PROMPT)
            assert (heard.text, heard.is_whole) == (ANSWER, True)
            assert time.monotonic() - begun < 10

    async def test_that_is_told(self, service):
        async with service("sandbox/fault-connect-hang", "connect: 0.1") as it:
            answer = await it.client.post(CHAT, json=body_for(CHAT, "it", stream=False))
            assert answer.status_code == 502
            assert answer.json()["error"]["code"] == "LLM_CONNECTION_ERROR"
            # Who cannot be reached twice is not there, whatever `retries` says.
            assert answer.headers["x-llm-proxy-attempts"] == "2"

"""Providers and the sandbox over real sockets: every way in which it misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    RequestRejectedError,
    UnsupportedModelError,
)
from llm_proxy.providers import LLMProvider
from llm_proxy.providers.loopback import SandboxServer
from llm_proxy.providers.sandbox import MODELS
from llm_proxy.types import ChatRequest, said

pytestmark = pytest.mark.integration

QUESTION = ChatRequest(messages=(said("user", "Hello there"),))
BOTH = pytest.mark.parametrize("vendor", ["openai", "anthropic"])

# What a fault is when the answer comes whole, and when it is streamed; one name for
# both, None where the question is not a fair one.
FAULTS: dict[str, tuple[type[APIError] | None, type[APIError] | None]] = {
    **dict.fromkeys(("fault-400", "fault-422"), (RequestRejectedError,) * 2),
    **dict.fromkeys(("fault-401", "fault-403"), (LLMCredentialsError,) * 2),
    **dict.fromkeys(
        ("fault-413", "fault-400-context-length"), (PromptTooLongError,) * 2
    ),
    **dict.fromkeys(
        [f"fault-{status}" for status in (408, 409, 500, 502, 503, 504, 529)],
        (LLMUnavailableError,) * 2,
    ),
    "fault-no-credit": (LLMQuotaExhaustedError,) * 2,
    "fault-429": (LLMRateLimitedError,) * 2,
    "fault-429-retry-after": (LLMRateLimitedError,) * 2,
    "fault-429-retry-after-date": (LLMRateLimitedError,) * 2,
    "fault-429-retry-after-ms": (LLMRateLimitedError,) * 2,
    "fault-429-retry-after-absurd": (LLMRateLimitedError,) * 2,
    "fault-no-response": (LLMConnectionLostError,) * 2,
    "fault-hang": (LLMTimeoutError,) * 2,
    "fault-stalled": (LLMTimeoutError,) * 2,
    "fault-cut": (LLMStreamBrokenError, LLMStreamBrokenError),
    "fault-no-finish": (None, LLMStreamBrokenError),
    "fault-malformed": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-first-event-error": (None, LLMUnavailableError),
    "fault-mid-stream-error": (None, LLMUnavailableError),
    "fault-200-error": (LLMUnavailableError,) * 2,
    "fault-null-content": (LLMBadResponseError,) * 2,
    "fault-empty-content": (LLMBadResponseError,) * 2,
    "fault-content-filter": (LLMContentFilteredError,) * 2,
    "fault-html": (LLMBadResponseError,) * 2,
    "fault-content-type": (LLMBadResponseError,) * 2,
    "fault-empty-body": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-invalid-utf8": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-huge": (LLMBadResponseError, LLMStreamBrokenError),
    "fault-gzip-bomb": (LLMBadResponseError,) * 2,
    "fault-redirect": (LLMBadResponseError,) * 2,
}
# OpenAI says it of an address, Anthropic of a model as well.
MISSING = {"openai": LLMBadResponseError, "anthropic": UnsupportedModelError}
# Numbers that keep the tests quick, and yet are over the bounds.
NUMBERS = {"fault-huge": 2, "fault-gzip-bomb": 2}
MIB = 2**20


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    server = SandboxServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def ask(make_factory, sandbox) -> Callable[..., LLMProvider]:
    """Makes a provider for one of the sandbox's models, in one of its dialects."""

    async def ask(vendor: str, model: str, **overrides: object) -> LLMProvider:
        urls = {f"{vendor}_base_url": await sandbox.start()}
        factory = make_factory(max_response_bytes=MIB, **urls, **overrides)
        return factory.get_provider(vendor, model)

    return ask


async def complete(provider: LLMProvider) -> str:
    return (await provider.complete(QUESTION)).text


async def stream(provider: LLMProvider) -> str:
    batches = [batch async for batch in provider.stream(QUESTION)]
    return "".join(chunk.text for batch in batches for chunk in batch)


def fault_cases() -> list:
    rows = FAULTS | {"fault-404": None}
    return [
        pytest.param(model, vendor, call, kind, id=f"{model}-{vendor}-{call.__name__}")
        for model, row in rows.items()
        for vendor in ("openai", "anthropic")
        for call, kind in zip(
            (complete, stream), row or (MISSING[vendor],) * 2, strict=True
        )
        if kind is not None
    ]


def test_every_fault_of_the_sandbox_is_looked_at():
    faults = {name for name in MODELS if name.startswith("fault-")}
    assert faults == {*FAULTS, "fault-404"}


@pytest.mark.parametrize(("model", "vendor", "call", "kind"), fault_cases())
async def test_every_fault_is_one_of_our_errors(ask, model, vendor, call, kind):
    silent = model in ("fault-hang", "fault-stalled")
    number = f"-{NUMBERS[model]}" if model in NUMBERS else ""
    patience = {"request_timeout": 0.1} if silent else {}
    provider = await ask(vendor, model + number, **patience)

    with pytest.raises(APIError) as caught:
        await call(provider)
    assert type(caught.value) is kind


@BOTH
@pytest.mark.parametrize("call", [complete, stream])
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("sandbox", 'The sandbox read: "Hello there"'),
        ("chunks-5", "1 2 3 4 5"),
        ("split-bytes", 'The sandbox read: "Hello there"'),
        ("slow-first-token-20", 'The sandbox read: "Hello there"'),
        ("length", "The sandbox read:"),
        ("missing-usage", 'The sandbox read: "Hello there"'),
        ("negative-usage", 'The sandbox read: "Hello there"'),
        ("huge-usage", 'The sandbox read: "Hello there"'),
    ],
)
async def test_every_answer_is_read(ask, vendor, call, model, text):
    assert (await call(await ask(vendor, model))).strip() == text


@BOTH
@pytest.mark.parametrize("model", ["no-done", "noisy-stream", "unasked-usage"])
async def test_habits_of_streams_are_borne(ask, vendor, model):
    assert await stream(await ask(vendor, model)) == 'The sandbox read: "Hello there"'


@BOTH
@pytest.mark.parametrize("call", [complete, stream])
async def test_the_advice_when_to_ask_again_is_read(ask, vendor, call):
    for model, seconds in (
        ("fault-429-retry-after-7", 7),
        ("fault-429-retry-after-ms-250", 0.25),
        ("fault-429", None),
    ):
        with pytest.raises(LLMRateLimitedError) as caught:
            await call(await ask(vendor, model))
        assert caught.value.retry_after_seconds == seconds


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


@BOTH
async def test_a_caller_who_leaves_stops_the_upstream(ask, sandbox, vendor):
    batches = (await ask(vendor, "slow-stream-60000")).stream(QUESTION)
    await anext(batches)
    traffic = sandbox.app.state.traffic
    assert (traffic.open, traffic.aborted) == (1, 0)

    await batches.aclose()
    await until(lambda: traffic.open == 0)
    assert traffic.aborted == 1


@BOTH
async def test_a_cancelled_call_stops_the_upstream(ask, sandbox, vendor):
    call = asyncio.ensure_future(complete(await ask(vendor, "fault-hang")))
    traffic = sandbox.app.state.traffic
    await until(lambda: traffic.open == 1)
    call.cancel()
    await until(lambda: traffic.open == 0)
    assert traffic.aborted == 1


class Gate:
    """A TCP relay that counts the connections to what is behind it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.connections = 0

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        upstream_reader, upstream_writer = await asyncio.open_connection(
            "127.0.0.1", self._port
        )
        relays = [self._relay(reader, upstream_writer)]
        relays.append(self._relay(upstream_reader, writer))
        await asyncio.gather(*relays)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@BOTH
@pytest.mark.parametrize("call", [complete, stream])
async def test_a_connection_is_used_again(make_factory, sandbox, vendor, call):
    url = await sandbox.start()
    gate = Gate(int(url.removesuffix("/v1").rpartition(":")[2]))
    async with await asyncio.start_server(gate.handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        factory = make_factory(**{f"{vendor}_base_url": f"http://127.0.0.1:{port}/v1"})
        for model in ("sandbox", "chunks-50", "fault-503", "sandbox"):
            try:
                await call(factory.get_provider(vendor, model))
            except LLMUnavailableError:
                assert model == "fault-503"
        await factory.aclose()

    assert sandbox.app.state.traffic.requests == 4
    assert gate.connections == 1


async def test_a_connection_is_used_again_though_its_end_comes_after_the_last_word(
    make_factory,
):
    connections = 0
    events = (
        b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}'
    )
    chunk = events + b"\n\ndata: [DONE]\n\n"

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"true}}")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await asyncio.sleep(0.02)
            writer.write(b"0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        factory = make_factory(openai_base_url=f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert await stream(factory.get_provider("openai", "m")) == "Hi"
        await factory.aclose()
    assert connections == 1


@BOTH
async def test_many_calls_are_under_way_at_once(make_factory, vendor):
    # Each is answered only when all have arrived.
    everybody = asyncio.Barrier(20)
    body = (
        b'{"choices": [{"message": {"content": "Hi"}}],'
        b' "content": [{"type": "text", "text": "Hi"}]}'
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d"

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"}]}")
        await everybody.wait()
        writer.write(head % len(body) + b"\r\nconnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        factory = make_factory(**{f"{vendor}_base_url": f"http://127.0.0.1:{port}"})
        provider = factory.get_provider(vendor, "m")
        async with asyncio.timeout(30):
            texts = await asyncio.gather(*(complete(provider) for _ in range(20)))
        await factory.aclose()

    assert texts == ["Hi"] * 20

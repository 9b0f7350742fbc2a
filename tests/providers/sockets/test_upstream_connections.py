"""Connections to upstreams: ended with the caller, and otherwise used again."""

import asyncio
from collections.abc import Callable

import pytest

from llm_proxy.errors import LLMUnavailableError
from llm_proxy.providers import LLMProvider
from llm_proxy.types import ChatRequest, said

pytestmark = pytest.mark.integration

QUESTION = ChatRequest((said("user", "Hello there"),))
BOTH = pytest.mark.parametrize("vendor", ["openai", "anthropic"])
EVERYWHERE = pytest.mark.parametrize(
    "upstream",
    [
        "openai",
        "anthropic",
        "gemini/gemini-2.5-flash",
        "bedrock/anthropic.claude-sonnet-4-5",
    ],
)


async def complete(provider: LLMProvider) -> str:
    return (await provider.complete(QUESTION)).text


async def stream(provider: LLMProvider) -> str:
    batches = [batch async for batch in provider.stream(QUESTION)]
    return "".join(chunk.text for batch in batches for chunk in batch)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


@EVERYWHERE
async def test_a_caller_who_leaves_stops_the_upstream(provider_at, sandbox, upstream):
    batches = (await provider_at(upstream, "fault-stalled")).stream(QUESTION)
    await anext(batches)
    traffic = sandbox.app.state.traffic
    assert (traffic.open, traffic.aborted) == (1, 0)

    await batches.aclose()
    await until(lambda: traffic.open == 0)
    assert traffic.aborted == 1


@EVERYWHERE
async def test_a_cancelled_call_stops_the_upstream(provider_at, sandbox, upstream):
    call = asyncio.ensure_future(complete(await provider_at(upstream, "fault-hang")))
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

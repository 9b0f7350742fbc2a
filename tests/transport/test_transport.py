import asyncio
import gzip
import socket
from contextlib import asynccontextmanager

import httpx
import pytest

from llm_proxy.transport import (
    BodyTooLargeError,
    PoolTransport,
    UpstreamClient,
    read_body,
)

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"


class Upstream:
    """A server that answers every request with the same bytes and notes what it saw."""

    def __init__(self, reply=OK, *, close=True, hang=False):
        self.reply, self.close, self.hang = reply, close, hang
        self.requests = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def handle(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                self.requests.append(head + await reader.readexactly(length))
                self.asked.set()
                writer.write(self.reply)
                await writer.drain()
                if self.hang:
                    await reader.read()
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.hung_up.set()
            writer.close()


@asynccontextmanager
async def running(upstream):
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, UpstreamClient() as client:
        yield client, f"http://127.0.0.1:{port}/v1/chat"


def request(url, *, read=2.0, connect=2.0):
    return httpx.Request(
        "POST",
        url,
        headers={"authorization": "Bearer k"},
        content=b"{}",
        extensions={"timeout": {"connect": connect, "read": read}},
    )


async def test_a_request_goes_up_as_it_is_and_the_answer_comes_down():
    upstream = Upstream()
    async with running(upstream) as (client, url):
        response = await client.send(request(url))
    head = upstream.requests[0].lower()
    assert response.content == b"ok"
    assert head.startswith(b"post /v1/chat http/1.1\r\n")
    assert b"authorization: bearer k\r\n" in head
    assert b"accept-encoding" not in head
    assert b"user-agent" not in head
    assert head.endswith(b"{}")


async def test_a_connection_is_used_again():
    upstream = Upstream(close=False)
    async with running(upstream) as (client, url):
        for _ in range(3):
            response = await client.send(request(url), stream=True)
            assert await read_body(response, 10) == b"ok"
            await response.aclose()
    assert (len(upstream.requests), upstream.connections) == (3, 1)


async def test_refused_means_never_connected():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with UpstreamClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.send(request(url))


async def test_an_unknown_host_means_never_connected():
    async with UpstreamClient() as client:
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await client.send(request("http://nowhere.invalid/"))


async def test_a_full_backlog_is_a_connect_timeout():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with UpstreamClient() as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.send(
                    request(f"http://127.0.0.1:{deaf.getsockname()[1]}/", connect=0.1)
                )
        for filler in fillers:
            filler.close()


async def test_a_plain_port_spoken_to_in_tls_means_never_connected():
    async with running(Upstream()) as (client, url):
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await client.send(request(url.replace("http://", "https://"), connect=0.2))


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\ncont", b"nonsense\r\n\r\n"]
)
async def test_no_head_means_connected_and_lost(reply):
    async with running(Upstream(reply)) as (client, url):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.send(request(url))


async def test_silence_before_the_head_is_a_read_timeout():
    async with running(Upstream(b"", hang=True)) as (client, url):
        with pytest.raises(httpx.ReadTimeout):
            await client.send(request(url, read=0.1))


async def test_silence_between_chunks_is_a_read_timeout():
    async with running(Upstream(CHUNKED, hang=True)) as (client, url):
        response = await client.send(request(url, read=0.1), stream=True)
        parts = response.aiter_raw()
        assert await anext(parts) == b"hello"
        with pytest.raises(httpx.ReadTimeout):
            await anext(parts)
        await response.aclose()


async def test_a_body_that_breaks_off_is_lost():
    async with running(Upstream(CHUNKED)) as (client, url):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.send(request(url))


async def test_cancelling_a_call_closes_the_connection():
    upstream = Upstream(b"", hang=True)
    async with running(upstream) as (client, url):
        call = asyncio.create_task(client.send(request(url)))
        await asyncio.wait_for(upstream.asked.wait(), 2)
        call.cancel()
        await asyncio.wait_for(upstream.hung_up.wait(), 2)


async def test_closing_an_unfinished_response_closes_the_connection():
    upstream = Upstream(CHUNKED, hang=True)
    async with running(upstream) as (client, url):
        response = await client.send(request(url), stream=True)
        await response.aclose()
        await asyncio.wait_for(upstream.hung_up.wait(), 2)


async def test_redirects_are_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n"
    upstream = Upstream(moved)
    async with running(upstream) as (client, url):
        assert (await client.send(request(url))).status_code == 302
    assert len(upstream.requests) == 1


async def test_cookies_are_not_kept():
    sweet = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\nok"
    upstream = Upstream(sweet, close=False)
    async with running(upstream) as (client, url):
        for _ in range(2):
            await client.send(request(url))
    assert b"cookie" not in upstream.requests[1].lower()


async def test_nothing_is_decompressed():
    body = gzip.compress(b"x" * 1000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
    async with running(Upstream(head % len(body) + body)) as (client, url):
        response = await client.send(request(url), stream=True)
        assert await read_body(response, 1000) == body
        await response.aclose()


async def test_a_body_over_the_bound_is_not_read():
    async with running(Upstream(CHUNKED, hang=True)) as (client, url):
        response = await client.send(request(url), stream=True)
        with pytest.raises(BodyTooLargeError):
            await read_body(response, 4)
        await response.aclose()


async def test_another_transport_can_be_put_below():
    mock = httpx.MockTransport(lambda request: httpx.Response(200, content=b"mock"))
    async with UpstreamClient(mock) as client:
        assert (await client.send(request("http://x/"))).content == b"mock"


async def test_closing_twice_is_harmless():
    transport = PoolTransport()
    await transport.aclose()
    await transport.aclose()

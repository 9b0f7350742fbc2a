"""What the pool refuses, survives and leaves behind."""

import asyncio
import gc
import socket
import ssl
import threading
from contextlib import contextmanager

import httpx
import pytest
import trustme
import uvloop

from llm_proxy.transport import PoolTransport, pool

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UNASKED = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"


class Answering(asyncio.Protocol):
    """Answers whatever comes, and counts the connections."""

    def __init__(self, seen):
        self.seen = seen

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append(self)
        self.lost = asyncio.Event()

    def data_received(self, data):
        self.data = data
        self.transport.write(OK)

    def connection_lost(self, exc):
        self.lost.set()


async def listen(seen, host="127.0.0.1"):
    server = await asyncio.get_running_loop().create_server(
        lambda: Answering(seen), host, 0
    )
    return server, server.sockets[0].getsockname()[1]


def post(url, *, method="POST", connect=5.0, headers=None):
    timeout = {"timeout": {"connect": connect, "read": 5.0}}
    return httpx.Request(
        method, url, headers=headers, content=b"{}", extensions=timeout
    )


async def ask(transport, url, **more):
    response = await transport.handle_async_request(post(url, **more))
    try:
        return await response.aread()
    finally:
        await response.aclose()


@pytest.mark.parametrize(
    "more",
    [
        {"headers": [(b"x", b"a\0b")]},
        {"headers": [(b"x\r\ny", b"a")]},
        {"headers": [(b"x", b"a\n")]},
        {"method": "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"},
        {"method": "HEAD"},
        {"method": "CONNECT"},
    ],
)
async def test_what_cannot_be_written_is_not(more):
    seen = []
    server, port = await listen(seen)
    async with server, PoolTransport() as transport:
        with pytest.raises(httpx.LocalProtocolError):
            await ask(transport, f"http://127.0.0.1:{port}/", **more)
    assert seen == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{'a' * 64}.invalid/",
        "http://127.0.0.1:70000/",
        "http://127.0.0.1:0/",
        "http://bücher.invalid/",
    ],
)
async def test_what_cannot_be_reached_is_a_connect_error(url):
    async with PoolTransport() as transport:
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await ask(transport, url)


async def test_another_address_is_tried_when_the_first_refuses():
    server, port = await listen([])
    async with server, PoolTransport() as transport:
        assert await ask(transport, f"http://localhost:{port}/") == b"ok"


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://u:p@127.0.0.1:{}", b"/", b"127.0.0.1:{}"),
        ("http://127.0.0.1:{}?a=b c#d", b"/?a=b%20c", b"127.0.0.1:{}"),
        ("http://[::1]:{}/é", b"/%C3%A9", b"[::1]:{}"),
    ],
)
async def test_a_url_goes_up_without_its_secrets(url, line, host):
    seen = []
    try:
        server, port = await listen(seen, "::1" if "::1" in url else "127.0.0.1")
    except OSError:
        pytest.skip("no IPv6 here")
    async with server, PoolTransport() as transport:
        await ask(transport, url.format(port))
    number = str(port).encode()
    assert seen[0].data.split(b"\r\n")[:2] == [
        b"POST " + line + b" HTTP/1.1",
        b"Host: " + host.replace(b"{}", number),
    ]


async def test_international_hosts_are_looked_up_by_their_ascii_form(monkeypatch):
    asked = []

    async def create_connection(factory, host, port, **_):
        asked.append((host, port))
        raise OSError

    class Loop:
        def __getattr__(self, name):
            return getattr(real, name)

    real, loop = asyncio.get_running_loop(), Loop()
    loop.create_connection = create_connection
    monkeypatch.setattr(pool.asyncio, "get_running_loop", lambda: loop)
    transport = PoolTransport()
    with pytest.raises(httpx.ConnectError):
        await ask(transport, "http://straße.test/")
    assert asked == [("xn--strae-oqa.test", 80)]


async def test_cancelling_while_connecting_leaves_nothing_open():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with PoolTransport() as transport:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            call = asyncio.create_task(ask(transport, url))
            await asyncio.sleep(0.02)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        for filler in fillers:
            filler.close()
    gc.collect()


@contextmanager
def serving(times, may_close, last_words=b""):
    """Answer one request on each of `times` connections, from a thread of its own."""
    is_closed = threading.Event()
    served = []

    def serve(listener):
        for _ in range(times):
            connection, _ = listener.accept()
            served.append(connection.recv(2**16))
            connection.sendall(OK)
            may_close.wait(5)
            connection.sendall(last_words)
            connection.close()
            is_closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", is_closed, served
        may_close.set()
        thread.join(5)


@pytest.mark.parametrize("last_words", [b"", UNASKED])
async def test_what_the_loop_has_not_seen_yet_is_looked_for(last_words):
    may_close = threading.Event()
    with serving(2, may_close, last_words) as (url, is_closed, served):
        async with PoolTransport() as transport:
            assert await ask(transport, url) == b"ok"
            may_close.set()
            # The loop stands still meanwhile, as it does under load.
            assert is_closed.wait(5)
            assert await ask(transport, url) == b"ok"
    assert len(served) == 2


@pytest.fixture(scope="module")
def contexts():
    """TLS from a server's side and from a client's."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("size", [2, 2**18 + 1])
async def test_a_response_that_nobody_asked_for_is_nobodys(contexts, secured, size):
    connections = []

    async def answer(reader, writer):
        connections.append(writer)
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        writer.write(b"x" * size)
        await asyncio.sleep(0.02)
        writer.write(UNASKED)
        await reader.read()
        writer.close()

    serving, trusting = contexts if secured else (None, None)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    scheme = "https" if secured else "http"
    url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, PoolTransport(tls=trusting) as transport:
        for number in range(1, 6):
            response = await transport.handle_async_request(post(url))
            # All of it arrives before any of it is read.
            await asyncio.sleep(0.1)
            assert await response.aread() == b"x" * size
            await response.aclose()
            assert len(connections) == number


async def test_a_look_does_not_end_a_good_connection():
    seen = []
    server, port = await listen(seen)
    async with server, PoolTransport() as transport:
        for _ in range(3):
            await ask(transport, f"http://127.0.0.1:{port}/")
    assert len(seen) == 1


async def test_a_connection_that_is_idle_for_too_long_is_closed_unasked():
    seen = []
    server, port = await listen(seen)
    async with server, PoolTransport(keepalive_seconds=0.05) as transport:
        await ask(transport, f"http://127.0.0.1:{port}/")
        await asyncio.wait_for(seen[0].lost.wait(), 5)


async def test_a_connection_in_use_outlives_the_pool_but_not_its_response():
    seen = []
    server, port = await listen(seen)
    async with server:
        transport = PoolTransport()
        response = await transport.handle_async_request(
            post(f"http://127.0.0.1:{port}/")
        )
        await transport.aclose()
        assert await response.aread() == b"ok"
        await response.aclose()
        await asyncio.wait_for(seen[0].lost.wait(), 5)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_can_end_right_after_the_pool(new_loop):
    async def live(url):
        transport = PoolTransport()
        await ask(transport, url)
        await transport.aclose()

    # What is left open warns when it is collected, and warnings are errors.
    loop = new_loop()
    with serving(1, threading.Event()) as (url, _, _):
        loop.run_until_complete(live(url))
        loop.close()
    gc.collect()

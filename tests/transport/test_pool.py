"""Connections of our own: what they send, when they are used again, how they end."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from llm_proxy.transport import PoolTransport
from llm_proxy.transport.http1 import Connection

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 500 Oops\r\nx-evil: 1\r\ncontent-length: 4\r\n\r\nevil"
KEEP, CLOSE, RESET = "keep", "close", "reset"


class Server:
    """Answers each request with the next of its replies, the last one for good.

    Attributes:
        requests: The bytes of each request.
        connections: How many there have been.
        written: Bytes that were accepted by the network.
        gone: Released whenever a connection has ended.
    """

    def __init__(self, *replies: bytes, then: str = KEEP) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.written = 0
        self.gone = asyncio.Semaphore(0)
        self._replies = replies
        self._then = then

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.gone.release()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            self.requests.append(head + await reader.readexactly(length))
            reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
            for start in range(0, len(reply), 2**16):
                writer.write(reply[start : start + 2**16])
                await writer.drain()
                self.written += 2**16
            if self._then == RESET:
                linger = struct.pack("ii", 1, 0)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                # What was sent has to arrive before the reset overtakes it.
                await asyncio.sleep(0.05)
            if self._then != KEEP:
                return


@asynccontextmanager
async def served(
    server: Server, secured: ssl.SSLContext | None = None, **pool: object
) -> AsyncIterator[tuple[PoolTransport, str]]:
    transport = PoolTransport(**pool)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=secured)
    port = listener.sockets[0].getsockname()[1]
    async with listener, transport:
        yield transport, f"http{'s' if secured else ''}://127.0.0.1:{port}/v1?a=b"


def post(url: str, *, read: float | None = 10, **more: object) -> httpx.Request:
    timeout = {"connect": 10, "read": read}
    fields = {"content": b"{}", "extensions": {"timeout": timeout}} | more
    return httpx.Request("POST", url, **fields)


async def ask(transport: PoolTransport, request: httpx.Request) -> bytes:
    response = await transport.handle_async_request(request)
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def test_a_request_is_written_with_its_length_and_host():
    server = Server(OK)
    async with served(server) as (transport, url):
        headers = {"Content-Length": "99", "Host": "else.test", "X-Key": "k"}
        await ask(transport, post(url, headers=headers))

    host = url.split("/")[2].encode()
    assert server.requests == [
        b"POST /v1?a=b HTTP/1.1\r\nHost: %b\r\nContent-Length: 2\r\n"
        b"X-Key: k\r\n\r\n{}" % host
    ]


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\nb", b"a\rb"])
async def test_a_header_cannot_smuggle_in_another(value):
    server = Server(OK)
    async with served(server) as (transport, url):
        with pytest.raises(httpx.LocalProtocolError):
            await ask(transport, post(url, headers=[(b"X-Key", value)]))
    assert server.requests == []


async def test_only_http_is_spoken():
    async with PoolTransport() as transport:
        with pytest.raises(httpx.UnsupportedProtocol):
            await ask(transport, post("ftp://host.test/"))


class TestAnswers:
    async def ask(self, *replies: bytes, then: str = KEEP) -> bytes:
        async with served(Server(*replies, then=then)) as (transport, url):
            return await ask(transport, post(url))

    async def test_one_without_a_length_ends_with_the_connection(self):
        assert await self.ask(b"HTTP/1.1 200 OK\r\n\r\nto the end", then=CLOSE) == (
            b"to the end"
        )

    @pytest.mark.parametrize(
        "interim",
        [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nlink: a\r\ncontent-length: 9\r\n\r\n",
        ],
    )
    async def test_interim_ones_are_passed_over(self, interim):
        async with served(Server(interim + OK)) as (transport, url):
            response = await transport.handle_async_request(post(url))
            assert response.status_code == 200
            assert list(response.headers) == ["content-length"]
            assert await response.aread() == b"ok"
            await response.aclose()

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 200 OK\r\n" + b"x-filler: %b\r\n" % (b"x" * 1000) * 400,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        ],
        ids=["fields", "interim-answers"],
    )
    async def test_what_comes_before_the_body_is_bounded(self, reply):
        with pytest.raises(httpx.RemoteProtocolError):
            await self.ask(reply)

    @pytest.mark.parametrize(
        "reply",
        [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"],
    )
    async def test_a_reset_is_a_read_error(self, reply):
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await self.ask(reply, then=RESET)

    async def test_what_came_before_the_cut_is_handed_out(self):
        reply = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhello"
        server = Server(reply, then=CLOSE)
        async with served(server) as (transport, url):
            response = await transport.handle_async_request(post(url))
            parts = aiter(response.stream)
            await asyncio.wait_for(server.gone.acquire(), 10)
            await asyncio.sleep(0.05)
            assert await anext(parts) == b"hello"
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(parts)
            await response.aclose()

    async def test_no_more_is_held_than_a_slow_reader_takes(self):
        size = 64 * 2**20
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
        server = Server(head + bytes(size))
        async with served(server) as (transport, url):
            response = await transport.handle_async_request(post(url))
            written = -1
            while written < server.written:
                written = server.written
                await asyncio.sleep(0.05)
            assert written < size / 2
            assert sum([len(part) async for part in response.stream]) == size
            await response.aclose()


class TestReuse:
    async def connections(
        self, server: Server, *, pause: float = 0, times: int = 3, **pool: object
    ) -> int:
        async with served(server, **pool) as (transport, url):
            for _ in range(times):
                assert await ask(transport, post(url)) == b"ok"
                await asyncio.sleep(pause)
        assert len(server.requests) == times
        return server.connections

    async def test_one_connection_does_for_one_after_the_other(self):
        assert await self.connections(Server(OK)) == 1

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ],
    )
    async def test_the_upstream_may_not_want_that(self, reply):
        assert await self.connections(Server(reply)) == 3

    async def test_one_that_the_upstream_has_closed_is_not_used(self):
        assert await self.connections(Server(OK, then=CLOSE), pause=0.05) == 3

    async def test_one_that_was_idle_for_long_is_not_used(self):
        server = Server(OK)
        assert await self.connections(server, pause=0.05, keepalive_seconds=0.01) == 3

    async def test_a_bound_on_idle_ones_is_kept(self):
        assert await self.connections(Server(OK), max_idle=0) == 3

    async def test_bytes_that_nobody_asked_for_end_it(self):
        # Else they would be taken for the answer to somebody else's request.
        server = Server(OK + EVIL, OK)
        async with served(server) as (transport, url):
            for _ in range(2):
                response = await transport.handle_async_request(post(url))
                assert await response.aread() == b"ok"
                assert (response.status_code, "x-evil" in response.headers) == (
                    200,
                    False,
                )
                await response.aclose()
        assert server.connections == 2

    async def test_so_do_late_ones(self):
        late = asyncio.Event()

        class Late(Server):
            async def _converse(self, reader, writer):
                self.requests.append(await reader.readuntil(b"{}"))
                writer.write(OK)
                if not late.is_set():
                    await late.wait()
                    writer.write(EVIL)
                await reader.read()

        server = Late()
        async with served(server) as (transport, url):
            assert await ask(transport, post(url)) == b"ok"
            late.set()
            await asyncio.wait_for(server.gone.acquire(), 10)
            assert await ask(transport, post(url)) == b"ok"
        assert server.connections == 2

    async def test_old_ones_are_cleared_away(self):
        server = Server(OK)
        async with served(server, keepalive_seconds=0.1) as (transport, url):
            both = [await transport.handle_async_request(post(url)) for _ in range(2)]
            for response in both:
                await response.aread()
                await response.aclose()
                await asyncio.sleep(0.05)
            # Nobody asks any more, and yet each is closed when its time has come.
            for _ in both:
                await asyncio.wait_for(server.gone.acquire(), 10)
        assert server.connections == 2

    async def test_an_answer_that_was_not_read_is_not_the_next_ones(self):
        server = Server(EVIL, OK)
        async with served(server) as (transport, url):
            response = await transport.handle_async_request(post(url))
            await response.aclose()
            with pytest.raises(httpx.StreamError):
                await response.aread()
            assert await ask(transport, post(url)) == b"ok"

    async def test_time_outs_of_one_exchange_do_not_bind_the_next(self):
        server = Server(OK)
        async with served(server) as (transport, url):
            await ask(transport, post(url, read=0.05))
            await asyncio.sleep(0.1)
            assert await ask(transport, post(url, read=None)) == b"ok"
        assert server.connections == 1


async def test_a_connection_that_was_never_made_cannot_send():
    connection = Connection()
    with pytest.raises(httpx.RemoteProtocolError):
        await connection.send([b""], None)
    connection.close()
    assert not connection.is_reusable


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> str:
    """A certificate and its key for 127.0.0.1 that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "unknown")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(path)


class TestTLS:
    @pytest.fixture
    def context(self, certificate) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context

    async def test_a_trusted_upstream_is_asked(self, context, certificate):
        trusting = ssl.create_default_context(cafile=certificate)
        async with served(Server(OK), context, tls=trusting) as (transport, url):
            assert await ask(transport, post(url)) == b"ok"

    async def test_a_stranger_is_not(self, context):
        server = Server(OK)
        async with served(server, context) as (transport, url):
            with pytest.raises(httpx.ConnectError):
                await ask(transport, post(url))
        assert server.requests == []

    async def test_nor_is_one_with_another_name(self, context, certificate):
        trusting = ssl.create_default_context(cafile=certificate)
        server = Server(OK)
        async with served(server, context, tls=trusting) as (transport, url):
            with pytest.raises(httpx.ConnectError):
                await ask(transport, post(url.replace("127.0.0.1", "localhost")))
        assert server.requests == []

"""One connection against an upstream that says anything at all (RFC 9112)."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import httpx
import pytest
import trustme

from llm_proxy.transport import PoolTransport, limit_silence, raw_body

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"content-length: 2\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def upstream(converse, *, tls=None, trust=None):
    """Run `converse(reader, writer)` for each connection and close it afterwards."""
    tasks = set()
    made = []

    async def handle(reader, writer):
        tasks.add(asyncio.current_task())
        made.append(writer)
        try:
            await converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    scheme = "http" if tls is None else "https"
    async with PoolTransport(tls=trust) as transport:
        yield transport, f"{scheme}://127.0.0.1:{port}/", made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)
    server.close()
    await server.wait_closed()


def post(url, *, read=5.0, body=b"{}"):
    timeout = {"timeout": {"connect": 5.0, "read": read}}
    return httpx.Request("POST", url, content=body, extensions=timeout)


async def ask(transport, url, **more):
    response = await transport.handle_async_request(post(url, **more))
    try:
        return response, await response.aread()
    finally:
        await response.aclose()


def replying(*parts, hang=False, pause=0.0):
    async def converse(reader, writer):
        while await reader.readuntil(b"{}"):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(pause)
                await writer.drain()
            if not hang:
                return
            await reader.read()

    return converse


def staying(reply):
    async def converse(reader, writer):
        while await reader.readuntil(b"{}"):
            writer.write(reply)

    return converse


@pytest.mark.parametrize(
    "reply",
    [
        HEAD + LENGTH + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + LENGTH + b"content-length: 3\r\n\r\nok!",
        HEAD + b"content-length: -2\r\n\r\nok",
        HEAD + b"content-length: +2\r\n\r\nok",
        HEAD + b"content-length: 99999999999999999999\r\n\r\nok",
        HEAD + b"content-length: 3\r\n\r\nok",
        HEAD + b"content-length : 2\r\n\r\nok",
        HEAD + b"x: a\r\n b\r\n" + LENGTH + b"\r\nok",
        HEAD + b"x: a\0b\r\n" + LENGTH + b"\r\nok",
        HEAD + b"x: a\rb\r\n" + LENGTH + b"\r\nok",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        HEAD + b"transfer-encoding: gzip\r\n\r\nok",
        CHUNKED + b"ffffffffffffffffff\r\nok",
        CHUNKED + b"2\nok\n0\n\n",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n",
        b"HTTP/1.1 101 Switched\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 104 Odd\r\ncontent-length: 2\r\n\r\nok" + OK,
        b"HTTP/1.1 099 Odd\r\ncontent-length: 2\r\n\r\nok" + OK,
        b"HTTP/1.1 " + b"2" * 100_000,
        b"HTTP/1.1 200 " + b"x" * 1_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000 + OK,
        CHUNKED + b"2;" + b"x" * 1_000_000 + b"\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: yz\r\n" * 100_000 + b"\r\n",
        b"\0" * 1000,
    ],
    ids=range(25),
)
async def test_what_is_not_http_is_an_error_and_never_an_answer(reply):
    async with upstream(replying(reply)) as (transport, url, _):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await ask(transport, url)


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (CHUNKED + b"2;a=b\r\nok\r\n0\r\nx-late: 1\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b""),
        (HEAD + b"content-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 200\r\ncontent-length: 3\r\n\r\n\0\xff\n", 200, b"\0\xff\n"),
        (
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + LENGTH + b"\r\nok",
            200,
            b"ok",
        ),
    ],
)
async def test_the_end_of_an_answer_is_known_without_the_connections(
    reply, status, body
):
    async with upstream(staying(reply)) as (transport, url, made):
        for _ in range(2):
            response, got = await ask(transport, url)
            assert (response.status_code, got) == (status, body)
            assert "x-late" not in response.headers
    assert len(made) == 1


async def test_spaces_around_a_field_are_not_its_value():
    reply = HEAD + b"x:  \xe9 a \t \r\ny:\r\n" + LENGTH + b"\r\nok"
    async with upstream(staying(reply)) as (transport, url, _):
        response, _ = await ask(transport, url)
    assert response.headers.raw[:2] == [(b"x", b"\xe9 a"), (b"y", b"")]


class TestSilence:
    async def test_every_byte_counts_as_a_sign_of_life(self):
        dribble = [bytes([byte]) for byte in OK]
        converse = replying(*dribble, pause=0.02)
        async with upstream(converse) as (transport, url, _):
            _, body = await ask(transport, url, read=0.5)
        assert body == b"ok"

    async def test_a_slow_reader_is_not_a_silent_upstream(self):
        reply = [CHUNKED + b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n"]
        converse = replying(*reply, pause=0.02, hang=True)
        async with upstream(converse) as (transport, url, _):
            response = await transport.handle_async_request(post(url, read=0.1))
            parts = raw_body(response)
            assert await anext(parts) == b"a"
            await asyncio.sleep(0.15)
            await asyncio.sleep(0.15)
            assert [part async for part in parts] == [b"b"]
            await response.aclose()

    async def test_an_upstream_that_does_not_read_the_request_is_silent(self):
        async def converse(reader, writer):
            await asyncio.Event().wait()

        async with upstream(converse) as (transport, url, _):
            with pytest.raises(httpx.ReadTimeout):
                await ask(transport, url, read=0.1, body=bytes(16 * 2**20))

    async def test_the_bound_of_an_exchange_is_its_own(self):
        async def converse(reader, writer):
            await reader.readuntil(b"{}")
            writer.write(OK)
            await asyncio.Event().wait()

        async with upstream(converse) as (transport, url, made):
            await ask(transport, url, read=60)
            with pytest.raises(httpx.ReadTimeout):
                await asyncio.wait_for(ask(transport, url, read=0.05), 5)
        assert len(made) == 1

    async def test_it_stays_an_error(self):
        converse = replying(HEAD + b"\r\npart", hang=True)
        async with upstream(converse) as (transport, url, _):
            response = await transport.handle_async_request(post(url, read=0.05))
            parts = raw_body(response)
            assert await anext(parts) == b"part"
            for _ in range(3):
                with pytest.raises(httpx.ReadTimeout):
                    await anext(parts)
                await asyncio.sleep(0.01)
            await response.aclose()


async def test_an_early_answer_is_taken_and_ends_the_connection():
    async def converse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\n" + LENGTH + b"\r\nok")
        await asyncio.Event().wait()

    async with upstream(converse) as (transport, url, made):
        for _ in range(2):
            response, _ = await ask(transport, url, body=bytes(16 * 2**20))
            assert response.status_code == 413
    assert len(made) == 2


async def test_a_large_answer_left_unread_does_not_stall_the_next():
    # Enough to pause reading, and whole by then.
    size = 300 * 1024
    reply = HEAD + b"content-length: %d\r\n\r\n" % size + bytes(size)
    async with upstream(staying(reply)) as (transport, url, _):
        response = await transport.handle_async_request(post(url))
        await asyncio.sleep(0.1)
        await response.aclose()
        assert len((await ask(transport, url))[1]) == size


async def test_closing_tells_who_still_reads():
    async with upstream(replying(HEAD + b"\r\na", hang=True)) as (transport, url, _):
        response = await transport.handle_async_request(post(url))
        parts = raw_body(response)
        assert await anext(parts) == b"a"
        reader = asyncio.create_task(anext(parts))
        await asyncio.sleep(0)
        await response.aclose()
        with pytest.raises(httpx.ReadError):
            await reader
        with pytest.raises(httpx.StreamClosed):
            await anext(parts)
        await response.aclose()


class TestTLS:
    @pytest.fixture
    def contexts(self):
        authority = trustme.CA()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(serving)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        return {"tls": serving, "trust": trusting}

    async def test_a_body_may_end_with_a_close_notify(self, contexts):
        async def converse(reader, writer):
            await reader.readuntil(b"{}")
            writer.write(HEAD + b"\r\nwhole")

        async with upstream(converse, **contexts) as (transport, url, _):
            assert (await ask(transport, url))[1] == b"whole"

    async def test_a_body_that_was_cut_short_is_lost(self, contexts):
        async def converse(reader, writer):
            await reader.readuntil(b"{}")
            writer.write(HEAD + b"\r\npart")
            await asyncio.sleep(0.05)
            writer.transport.abort()

        async with upstream(converse, **contexts) as (transport, url, _):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await ask(transport, url)

    async def test_a_connection_that_the_upstream_closed_is_not_used(self, contexts):
        async def converse(reader, writer):
            await reader.readuntil(b"{}")
            writer.write(OK)

        async with upstream(converse, **contexts) as (transport, url, made):
            for _ in range(2):
                assert (await ask(transport, url))[1] == b"ok"
                await asyncio.sleep(0.05)
        assert len(made) == 2

    async def test_a_handshake_that_hangs_is_a_connect_timeout(self):
        async def converse(reader, writer):
            await asyncio.Event().wait()

        async with upstream(converse) as (transport, url, _):
            request = post(url.replace("http", "https"))
            request.extensions["timeout"]["connect"] = 0.1
            with pytest.raises(httpx.ConnectTimeout):
                await transport.handle_async_request(request)


class TestLimitSilence:
    """The bound on silence, changed while a body is read."""

    @staticmethod
    async def read(transport, url, *, before, after):
        response = await transport.handle_async_request(post(url, read=before))
        try:
            body = raw_body(response)
            first = await anext(body)
            limit_silence(response, after)
            return first + b"".join([part async for part in body])
        finally:
            await response.aclose()

    @staticmethod
    def in_two_parts(pause):
        async def converse(reader, writer):
            while await reader.readuntil(b"{}"):
                writer.write(HEAD + LENGTH + b"\r\no")
                await writer.drain()
                await asyncio.sleep(pause)
                writer.write(b"k")

        return converse

    @pytest.mark.parametrize("after", [5.0, None])
    async def test_who_has_begun_may_be_granted_more(self, after):
        async with upstream(self.in_two_parts(0.2)) as (transport, url, _):
            body = await self.read(transport, url, before=0.05, after=after)
        assert body == b"ok"

    @pytest.mark.parametrize("before", [5.0, None])
    async def test_or_less(self, before):
        async with upstream(self.in_two_parts(60)) as (transport, url, _):
            async with asyncio.timeout(10):
                with pytest.raises(httpx.ReadTimeout):
                    await self.read(transport, url, before=before, after=0.05)

    async def test_the_next_exchange_has_its_own_bound(self):
        async with upstream(self.in_two_parts(0.1)) as (transport, url, made):
            await self.read(transport, url, before=0.05, after=None)
            await self.read(transport, url, before=5.0, after=5.0)
            async with asyncio.timeout(10):
                with pytest.raises(httpx.ReadTimeout):
                    await self.read(transport, url, before=5.0, after=0.01)
        assert len(made) == 1

    async def test_what_has_ended_is_left_alone(self):
        async with upstream(replying(OK)) as (transport, url, _):
            response = await transport.handle_async_request(post(url))
            await response.aread()
            await response.aclose()
            limit_silence(response, 0.01)

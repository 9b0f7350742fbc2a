"""Real sockets and a clock set by hand: no test waits for a limit to pass."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from llm_proxy.drain import Drain
from llm_proxy.http_flow import STALL_SECONDS
from llm_proxy.http_protocol import EdgeLimits, http_protocol

LIMITS = EdgeLimits(
    max_head_bytes=65536, head_timeout=10.0, body_timeout=30.0, max_connections=4
)
MAX_TOLD = 256
MAX_PIPELINED = 32
LINGER_SECONDS = 1.0
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
POST_5 = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self._when = when
        self.call = call
        self.cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """An event loop whose time moves only by `advance`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = 0.0
        self._timers: list[Timer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(self._now + delay, lambda: call(*args))
        self._timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self._now += seconds
        due = [timer for timer in self._timers if timer.when() <= self._now]
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            if not timer.cancelled:
                timer.call()

    def pending(self) -> int:
        return sum(not timer.cancelled for timer in self._timers)


@dataclass
class App:
    """Reads the body, then answers with it; a path chooses another behaviour.

    `/stream` answers with one chunk for each item of `chunks` and ends on None;
    `/lazy` reads nothing before `go` is set; `/deaf` answers without reading.
    """

    scopes: list[dict[str, Any]] = field(default_factory=list)
    chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        self.entered.set()
        path = scope["path"]
        if path == "/lazy":
            await self.go.wait()
        body = b"deaf" if path == "/deaf" else await self._body(receive)
        if body is None:
            return
        if path == "/stream":
            await self._stream(send)
        else:
            length = str(len(body)).encode()
            headers = [(b"content-length", length)]
            await send(
                {"type": "http.response.start", "status": 200, "headers": headers}
            )
            await send({"type": "http.response.body", "body": body})

    async def _body(self, receive) -> bytes | None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return None
            body += message["body"]
            if not message["more_body"]:
                return body

    async def _stream(self, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (chunk := await self.chunks.get()) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        status_line, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status_line.split()[1]), headers

    async def answer(self) -> Answer:
        status, headers = await self.head()
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    async def closed(self) -> bytes:
        """Everything that still comes until the server closes its side."""
        return await asyncio.wait_for(self.reader.read(), 30)


@dataclass
class Edge:
    app: App
    clock: Clock
    address: tuple[str, int]
    protocols: list[Any]
    drain: Drain
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection(*self.address))
        self.clients.append(client)
        await until(lambda: len(self.protocols) == len(self.clients))
        return client

    async def received(self, total: int) -> None:
        """Waits until the server has read this many bytes in all."""
        await until(lambda: sum(p.read for p in self.protocols) >= total)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    app = App()
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    protocols: list[Any] = []
    config = Config(app, ws="none", log_config=None, timeout_keep_alive=75)
    config.load()
    state = ServerState()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))

    drain = Drain()

    class Counting(http_protocol(LIMITS, drain)):
        read = 0

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.read += len(data)

    def connection() -> asyncio.Protocol:
        protocols.append(Counting(config, state, {}, clock))
        return protocols[-1]

    server = await loop.create_server(connection, "127.0.0.1", 0)
    edge = Edge(app, clock, server.sockets[0].getsockname(), protocols, drain)
    yield edge
    for client in edge.clients:
        client.writer.transport.abort()
    server.close()
    await until(lambda: not state.connections)
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    assert failures == []


def assert_refusal(answer: Answer, status: int, code: str) -> None:
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert list(error) == ["code", "message", "details", "requestId"]
    assert error["requestId"] == answer.headers["x-request-id"] != ""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"


class TestOrdinaryRequests:
    async def test_a_connection_serves_one_request_after_another(self, edge):
        client = await edge.connect()
        for body in (b"first", b"again"):
            await client.send(POST_5 + body)
            assert (await client.answer()).body == body

    async def test_pipelined_requests_are_answered_in_order(self, edge):
        client = await edge.connect()
        await client.send(POST_5 + b"first" + POST_5 + b"again" + GET)
        assert [(await client.answer()).body for _ in range(3)] == [
            b"first",
            b"again",
            b"",
        ]

    async def test_idle_time_between_requests_is_not_the_heads(self, edge):
        client = await edge.connect()
        await client.send(GET)
        await client.answer()
        edge.clock.advance(LIMITS.head_timeout + LIMITS.body_timeout)
        await client.send(GET)
        assert (await client.answer()).status == 200

    async def test_a_stream_longer_than_every_limit_is_not_cut(self, edge):
        client = await edge.connect()
        await client.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
        await client.head()
        edge.clock.advance(LIMITS.head_timeout + LIMITS.body_timeout + 1)
        for chunk in (b"late", None):
            edge.app.chunks.put_nowait(chunk)
        ending = await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 30)
        assert ending == b"4\r\nlate\r\n0\r\n\r\n"

    async def test_the_application_learns_that_the_client_left(self, edge):
        client = await edge.connect()
        await client.send(POST_5 + b"so")
        await edge.app.entered.wait()
        client.writer.close()
        await asyncio.wait_for(edge.app.disconnected.wait(), 30)


class TestDeadlines:
    async def test_a_silent_connection_is_closed(self, edge):
        client = await edge.connect()
        edge.clock.advance(LIMITS.head_timeout)
        assert_refusal(await client.answer(), 408, "REQUEST_TIMEOUT")
        assert await client.closed() == b""

    async def test_a_dripping_head_is_not_given_more_time(self, edge):
        client = await edge.connect()
        await client.send(GET[:5])
        await edge.received(5)
        edge.clock.advance(LIMITS.head_timeout - 1)
        await client.send(GET[5:10])
        await edge.received(10)
        edge.clock.advance(1)
        assert_refusal(await client.answer(), 408, "REQUEST_TIMEOUT")

    async def test_every_head_has_its_own_time(self, edge):
        client = await edge.connect()
        total = 0
        for part in (GET[:5], GET[5:] + GET[:5], GET[5:]):
            await client.send(part)
            total += len(part)
            await edge.received(total)
            edge.clock.advance(LIMITS.head_timeout - 1)
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]

    async def test_line_ends_alone_do_not_hold_a_connection(self, edge):
        client = await edge.connect()
        await client.send(GET)
        await client.answer()
        await client.send(b"\r\n")
        await edge.received(len(GET) + 2)
        edge.clock.advance(LIMITS.head_timeout)
        assert_refusal(await client.answer(), 408, "REQUEST_TIMEOUT")

    @pytest.mark.parametrize(
        "body", [POST_5 + b"so", CHUNKED + b"1\r\nx\r\n"], ids=["length", "chunked"]
    )
    async def test_a_dripping_body_is_refused_and_the_application_told(
        self, edge, body
    ):
        client = await edge.connect()
        await client.send(body)
        await edge.received(len(body))
        edge.clock.advance(LIMITS.body_timeout)
        assert_refusal(await client.answer(), 408, "REQUEST_TIMEOUT")
        await asyncio.wait_for(edge.app.disconnected.wait(), 30)

    async def test_time_in_which_the_server_does_not_read_is_not_the_clients(
        self, edge
    ):
        client = await edge.connect()
        head = b"POST /lazy HTTP/1.1\r\nHost: test\r\nContent-Length: 400000\r\n\r\n"
        await client.send(head + b"x" * 100_000)
        await until(lambda: edge.protocols[0].flow.read_paused)
        edge.clock.advance(LIMITS.body_timeout * 10)
        edge.app.go.set()
        client.writer.write(b"x" * 300_000)
        answer = await client.answer()
        assert (answer.status, len(answer.body)) == (200, 400_000)

    async def test_time_spent_before_a_pause_still_counts(self, edge):
        client = await edge.connect()
        head = b"POST /lazy HTTP/1.1\r\nHost: test\r\nContent-Length: 400000\r\n\r\n"
        await client.send(head)
        await edge.received(len(head))
        edge.clock.advance(LIMITS.body_timeout - 1)
        await client.send(b"x" * 100_000)
        await until(lambda: edge.protocols[0].flow.read_paused)
        edge.app.go.set()
        await until(lambda: not edge.protocols[0].flow.read_paused)
        edge.clock.advance(1)
        assert_refusal(await client.answer(), 408, "REQUEST_TIMEOUT")

    async def test_a_client_told_to_wait_is_given_its_time_afterwards(self, edge):
        client = await edge.connect()
        await client.send(
            b"POST /lazy HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        await edge.app.entered.wait()
        edge.clock.advance(LIMITS.body_timeout * 2)
        edge.app.go.set()
        assert (await client.head())[0] == 100
        await client.send(b"hello")
        assert (await client.answer()).body == b"hello"

    async def test_a_body_nobody_wants_cannot_hold_the_connection(self, edge):
        client = await edge.connect()
        request = POST_5.replace(b"/", b"/deaf", 1) + b"so"
        await client.send(request)
        assert (await client.answer()).body == b"deaf"
        await edge.received(len(request))
        edge.clock.advance(LIMITS.body_timeout)
        assert await client.closed() == b""

    async def test_a_late_rest_of_a_refused_request_is_ignored(self, edge):
        client = await edge.connect()
        await client.send(GET[:5])
        await edge.received(5)
        edge.clock.advance(LIMITS.head_timeout)
        await client.send(GET[5:])
        await edge.received(len(GET))
        assert edge.app.scopes == []

    async def test_a_refused_client_that_stays_is_cut_off(self, edge):
        client = await edge.connect()
        edge.clock.advance(LIMITS.head_timeout - LINGER_SECONDS / 2)
        await client.send(b"NONSENSE\r\n\r\n")
        assert_refusal(await client.answer(), 400, "MALFORMED_REQUEST")
        edge.clock.advance(LINGER_SECONDS / 2)
        assert await client.closed() == b""
        assert not edge.protocols[0].transport.is_closing()
        edge.clock.advance(LINGER_SECONDS / 2)
        assert edge.protocols[0].transport.is_closing()

    async def test_nothing_is_kept_for_a_client_that_left(self, edge):
        client = await edge.connect()
        await client.send(GET[:5])
        await edge.received(5)
        assert edge.clock.pending() == 1
        client.writer.close()
        await until(lambda: edge.clock.pending() == 0)


def _head_of(size: int) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: %b\r\n\r\n" % (b"x" * size)


class TestSize:
    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(_head_of(200_000), id="one header"),
            pytest.param(
                b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 40_000, id="many"
            ),
            pytest.param(b"GET /" + b"x" * 200_000, id="request line"),
            pytest.param(b"\r\n" * 100_000, id="line ends"),
            pytest.param(CHUNKED + b"1;" + b"x" * 200_000, id="chunk extension"),
            pytest.param(
                CHUNKED + b"1\r\nx\r\n0\r\nX-Long: " + b"x" * 400_000, id="trailers"
            ),
        ],
    )
    async def test_what_frames_a_request_is_bounded(self, edge, head):
        client = await edge.connect()
        await client.send(head)
        assert_refusal(await client.answer(), 431, "REQUEST_HEAD_TOO_LARGE")
        assert await client.closed() == b""

    async def test_a_head_in_small_pieces_is_counted_as_one(self, edge):
        client = await edge.connect()
        head = _head_of(70_000)
        for start in range(0, len(head), 7_000):
            await client.send(head[start : start + 7_000])
            await edge.received(min(start + 7_000, len(head)))
        assert_refusal(await client.answer(), 431, "REQUEST_HEAD_TOO_LARGE")

    async def test_every_request_has_its_own_bytes(self, edge):
        client = await edge.connect()
        head = _head_of(40_000)
        await client.send(head)
        assert (await client.answer()).status == 200
        await client.send(head[:30_000])
        await edge.received(len(head) + 30_000)
        await client.send(head[30_000:])
        assert (await client.answer()).status == 200

    async def test_a_head_behind_another_request_is_counted(self, edge):
        client = await edge.connect()
        await client.send(GET + _head_of(70_000))
        assert (await client.answer()).status == 200
        assert await client.closed() == b""
        assert len(edge.app.scopes) == 1

    async def test_a_head_below_the_limit_and_a_large_body_pass(self, edge):
        client = await edge.connect()
        head = (
            b"POST / HTTP/1.1\r\nHost: a\r\n"
            b"X-Long: %b\r\nContent-Length: 300000\r\n\r\n"
        )
        await client.send(head % (b"x" * 65_000) + b"y" * 300_000)
        answer = await client.answer()
        assert (answer.status, len(answer.body)) == (200, 300_000)

    async def test_a_body_in_tiny_chunks_is_not_mistaken_for_a_head(self, edge):
        client = await edge.connect()
        await client.send(CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
        assert len((await client.answer()).body) == 20_000

    async def test_requests_waiting_on_one_connection_are_bounded(self, edge):
        client = await edge.connect()
        lazy = b"GET /lazy HTTP/1.1\r\nHost: a\r\n\r\n"
        await client.send(lazy + GET * 100)
        await edge.received(len(lazy + GET * 100))
        edge.app.go.set()
        answered = (await client.closed()).count(b"HTTP/1.1 200 OK")
        assert answered == 1 + MAX_PIPELINED


class TestMalformedRequests:
    @pytest.mark.parametrize(
        "request_bytes",
        [
            pytest.param(b"NONSENSE\r\n\r\n", id="request line"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01", id="TLS"),
            pytest.param(b"GET / HTTP/1.1\nHost: test\n\n", id="bare LF"),
            pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", id="CONNECT"),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                id="CL+TE",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Length: 5\r\n\r\n0\r\n\r\n",
                id="TE+CL",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\n"
                b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
                id="two lengths",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
                id="TE",
            ),
            pytest.param(
                b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", id="folding"
            ),
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", id="one bare LF"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", id="bare CR"),
            pytest.param(b"GET /\r\n\r\n", id="HTTP/0.9"),
            pytest.param(b"GET / HTTP/0.9\r\n\r\n", id="HTTP/0.9 by name"),
            pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", id="HTTP/2.0"),
            pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
            pytest.param(
                b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"
            ),
            pytest.param(
                b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", id="one host twice"
            ),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
            pytest.param(b"GET http://b/ HTTP/1.1\r\n\r\n", id="host in target"),
            pytest.param(
                b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", id="another host"
            ),
            pytest.param(
                b"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n", id="user and host"
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\n"
                b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
                id="one length twice",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
                id="lengths",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
                id="signed length",
            ),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
                id="space, colon",
            ),
            *(
                pytest.param(
                    b"POST / HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: %b\r\n\r\n0\r\n\r\n" % coding,
                    id=f"TE {coding!r}",
                )
                for coding in (
                    b"xchunked",
                    b"chunked, chunked",
                    b"chunked\r\nTransfer-Encoding: chunked",
                    b"x\r\nTransfer-Encoding: chunked",
                    b"gzip, chunked",
                    b"chunked, identity",
                    b"\x0bchunked",
                )
            ),
            pytest.param(
                b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                id="TE in HTTP/1.0",
            ),
            *(
                pytest.param(CHUNKED + chunk, id=f"chunk {chunk!r}")
                for chunk in (
                    b"nonsense\r\n",
                    b"10000000000000005\r\nhello\r\n",
                    b"-5\r\nhello\r\n",
                    b"0x5\r\nhello\r\n",
                    b"5 \r\nhello\r\n",
                    b"5\nhello\r\n",
                    b"5\r\nhello\n",
                    b"5;a\nb\r\nhello\r\n",
                    b'5;a="\r\n"\r\nhello\r\n',
                )
            ),
        ],
    )
    async def test_they_are_answered_in_json_and_closed(self, edge, request_bytes):
        client = await edge.connect()
        await client.send(request_bytes)
        assert_refusal(await client.answer(), 400, "MALFORMED_REQUEST")
        assert await client.closed() == b""

    @pytest.mark.parametrize(
        "request_bytes",
        [
            pytest.param(b"GET http://A/x HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute"),
            pytest.param(b"GET http://a/x HTTP/1.0\r\n\r\n", id="without host"),
            pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", id="asterisk"),
            pytest.param(CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", id="extension"),
            pytest.param(
                b"POST / HTTP/1.1\r\nHost: a\r\n"
                b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
                id="upper case",
            ),
        ],
    )
    async def test_what_is_unusual_is_not_malformed(self, edge, request_bytes):
        client = await edge.connect()
        await client.send(request_bytes)
        assert (await client.answer()).status == 200

    async def test_an_upgrade_cannot_hide_a_request_in_its_body(self, edge):
        client = await edge.connect()
        await client.send(
            b"POST / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
            b"Content-Length: %d\r\n\r\n" % len(GET)
        )
        await client.send(GET)
        assert_refusal(await client.answer(), 400, "UPGRADE_NOT_SUPPORTED")
        assert await client.closed() == b""

    async def test_an_upgrade_without_a_body_is_an_ordinary_request(self, edge):
        client = await edge.connect()
        await client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        assert (await client.answer()).status == 200

    async def test_an_earlier_request_still_gets_its_answer(self, edge):
        client = await edge.connect()
        await client.send(GET + b"NONSENSE\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await client.closed() == b""

    async def test_a_broken_body_does_not_answer_for_an_earlier_request(self, edge):
        client = await edge.connect()
        await client.send(
            b"GET /lazy HTTP/1.1\r\nHost: test\r\n\r\n" + CHUNKED + b"nonsense\r\n"
        )
        assert await client.closed() == b""

    async def test_trailers_do_not_become_headers(self, edge):
        client = await edge.connect()
        await client.send(CHUNKED + b"0\r\nX-API-Token: late\r\n\r\n")
        assert (await client.answer()).status == 200
        [scope] = edge.app.scopes
        assert [name for name, _ in scope["headers"]] == [b"host", b"transfer-encoding"]


def test_without_httptools_the_error_says_what_to_do(monkeypatch):
    spec = find_spec("llm_proxy.http_protocol")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setitem(sys.modules, "httptools", None)
    monkeypatch.delitem(sys.modules, "uvicorn.protocols.http.httptools_impl")
    monkeypatch.delattr("uvicorn.protocols.http.httptools_impl")
    with pytest.raises(ImportError, match="needs httptools"):
        spec.loader.exec_module(module_from_spec(spec))


class TestTooManyConnections:
    async def test_one_more_is_told_so(self, edge):
        for _ in range(LIMITS.max_connections):
            await edge.connect()
        client = await edge.connect()
        answer = await client.answer()
        assert_refusal(answer, 503, "OVERLOADED")
        assert answer.headers["retry-after"] == "1"
        assert await client.closed() == b""
        await client.send(GET)
        await edge.received(len(GET))
        assert edge.app.scopes == []

    async def test_those_that_are_open_are_served(self, edge):
        clients = [await edge.connect() for _ in range(LIMITS.max_connections + 1)]
        await clients[0].send(GET)
        assert (await clients[0].answer()).status == 200

    async def test_there_is_room_again_when_others_have_left(self, edge):
        clients = [await edge.connect() for _ in range(LIMITS.max_connections)]
        clients[0].writer.close()
        await until(lambda: len(edge.protocols[0].connections) < len(clients))
        client = await edge.connect()
        await client.send(GET)
        assert (await client.answer()).status == 200

    async def test_far_too_many_are_told_nothing(self, edge):
        for _ in range(LIMITS.max_connections + MAX_TOLD):
            await edge.connect()
        client = await edge.connect()
        with suppress(ConnectionError):
            assert await client.closed() == b""


class TestDrain:
    async def test_answers_under_way_are_the_last(self, edge):
        client = await edge.connect()
        await client.send(GET.replace(b"/", b"/lazy", 1))
        await edge.app.entered.wait()
        edge.protocols[0].close_after_answer()
        edge.app.go.set()
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed() == b""

    async def test_so_are_those_that_begin_later(self, edge):
        client = await edge.connect()
        edge.drain.begin()
        await client.send(GET)
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed() == b""

    async def test_an_answer_before_the_body_is_not_lost(self, edge):
        client = await edge.connect()
        edge.drain.begin()
        request = POST_5.replace(b"/", b"/deaf", 1)
        await client.send(request)
        assert (await client.answer()).body == b"deaf"
        assert await client.closed() == b""
        assert not edge.protocols[0].transport.is_closing()
        await client.send(b"hello")
        edge.clock.advance(LINGER_SECONDS)
        assert edge.protocols[0].transport.is_closing()

    async def test_a_refused_request_does_not_keep_the_connection(self, edge):
        client = await edge.connect()
        await client.send(GET.replace(b"/", b"/lazy", 1))
        await edge.app.entered.wait()
        edge.protocols[0].close_after_answer()
        await client.send(b"NONSENSE\r\n\r\n")
        await until(lambda: edge.protocols[0].read > len(GET) + 4)
        edge.app.go.set()
        assert (await client.answer()).status == 200
        assert await client.closed() == b""

    async def test_a_cut_refuses_what_has_no_body_yet(self, edge):
        client = await edge.connect()
        await client.send(POST_5 + b"so")
        await edge.received(len(POST_5) + 2)
        edge.protocols[0].cut()
        answer = await client.answer()
        assert_refusal(answer, 503, "OVERLOADED")
        assert answer.headers["retry-after"] == "1"
        await asyncio.wait_for(edge.app.disconnected.wait(), 30)

    async def test_a_cut_leaves_the_rest_to_the_application(self, edge):
        idle, busy = await edge.connect(), await edge.connect()
        await busy.send(GET.replace(b"/", b"/lazy", 1))
        await edge.app.entered.wait()
        for protocol in edge.protocols:
            protocol.cut()
        edge.app.go.set()
        await idle.send(GET)
        for client in (busy, idle):
            assert (await client.answer()).status == 200

    async def test_the_end_closes_what_is_idle_and_nothing_else(self, edge):
        silent, told, busy = [await edge.connect() for _ in range(3)]
        await told.send(b"NONSENSE\r\n\r\n")
        await told.answer()
        await busy.send(GET.replace(b"/", b"/lazy", 1))
        await edge.app.entered.wait()
        for protocol in edge.protocols:
            protocol.shutdown()
        closing = [protocol.transport.is_closing() for protocol in edge.protocols]
        assert closing == [True, False, False]
        assert await silent.closed() == b""
        edge.app.go.set()
        assert (await busy.answer()).headers["connection"] == "close"


class TestClientsWhoDoNotRead:
    async def pause(self, edge: Edge) -> Client:
        """A client who does not read an answer that is larger than all buffers."""
        client = await edge.connect()
        await client.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
        edge.app.chunks.put_nowait(b"x" * 32 * 1024 * 1024)
        await until(lambda: edge.protocols[0].flow.write_paused)
        return client

    async def test_they_are_cut_off(self, edge):
        await self.pause(edge)
        edge.clock.advance(STALL_SECONDS - 1)
        assert not edge.protocols[0].transport.is_closing()
        edge.clock.advance(1)
        assert edge.protocols[0].transport.is_closing()

    async def test_whoever_reads_at_all_is_not(self, edge):
        client = await self.pause(edge)
        transport = edge.protocols[0].transport
        for _ in range(3):
            unread = transport.get_write_buffer_size()
            while transport.get_write_buffer_size() >= unread:
                await client.reader.read(1 << 20)
            edge.clock.advance(STALL_SECONDS)
            assert not transport.is_closing()

    async def test_whoever_has_read_all_is_forgotten(self, edge):
        client = await self.pause(edge)
        while edge.protocols[0].flow.write_paused:
            await client.reader.read(1 << 20)
        edge.clock.advance(STALL_SECONDS)
        assert not edge.protocols[0].transport.is_closing()

"""The end of the service: its parts alone, and the whole in a process of its own."""

import asyncio
import json
import signal
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from llm_proxy.drain import Drain, Work
from llm_proxy.errors import OverloadedError

TOKEN = "test_token"
STREAMS = {
    "/chat": ({"provider": "sandbox", "prompt": "Hi"}, b"event: error", b"event: done"),
    "/v1/chat/completions": (
        {"messages": [{"role": "user", "content": "Hi"}]},
        b'data: {"error":',
        b"[DONE]",
    ),
    "/v1/messages": (
        {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 99},
        b"event: error",
        b"message_stop",
    ),
    "/v1/responses": (
        {"input": "Hi"},
        b"event: response.failed",
        b"response.completed",
    ),
}


class TestWork:
    async def test_a_cut_raises_the_reason(self):
        drain = Drain()

        async def work():
            with Work(drain):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert len(drain.running) == 1
        drain.cut()
        with pytest.raises(OverloadedError, match="shutting down") as caught:
            await task
        assert caught.value.retry_after_seconds == 1
        assert (drain.is_draining, drain.running, task.cancelling()) == (True, set(), 0)

    async def test_what_begins_after_the_cut_is_cut_as_well(self):
        drain = Drain()
        drain.cut()

        async def work():
            with Work(drain):
                await asyncio.Event().wait()

        with pytest.raises(OverloadedError):
            await asyncio.wait_for(work(), 10)

    async def test_the_first_reason_counts(self):
        drain = Drain()

        async def work():
            with Work(drain) as this:
                this.end(ValueError("first"))
                drain.cut()
                await asyncio.Event().wait()

        with pytest.raises(ValueError, match="first"):
            await asyncio.create_task(work())

    async def test_what_has_ended_is_left_alone(self):
        drain = Drain()
        with Work(drain):
            pass
        drain.cut()
        await asyncio.sleep(0)
        assert drain.running == set()

    async def test_the_beginning_of_the_end_lets_work_run(self):
        drain = Drain()
        with Work(drain):
            drain.begin()
            await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            drain.check()


async def test_a_background_response_that_is_cut_has_failed(build, client, upstream):
    async def hang(_):
        await asyncio.Event().wait()

    upstream.anthropic.side_effect = hang
    app = build()
    caller = client(app)
    body = {"model": "anthropic/claude-sonnet-4-5", "input": "Hi", "background": True}
    begun = (await caller.post("/v1/responses", json=body)).json()
    assert begun["status"] == "queued"
    await asyncio.sleep(0)
    app.state.drain.cut()
    for _ in range(10):
        await asyncio.sleep(0)
    kept = (await caller.get(f"/v1/responses/{begun['id']}")).json()
    assert (kept["status"], kept["error"]["message"]) == (
        "failed",
        "The service is shutting down",
    )


@pytest.fixture(scope="module")
def sandbox(start):
    return start("llm_proxy.providers.sandbox", "--port", "0")


class Service:
    """A whole service, on the way to its end."""

    def __init__(self, child) -> None:
        self.child = child
        address = urlsplit(child.url)
        self.address = address.hostname, address.port

    def connect(self, sent: bytes) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=30)
        connection.sendall(sent)
        return connection

    def ask(self, path: str, body: dict) -> socket.socket:
        content = json.dumps(body).encode()
        return self.connect(head(path, len(content)) + content)

    def lines(self, message: str) -> list[dict]:
        lines = [json.loads(line) for line in self.child.log.splitlines()]
        return [line for line in lines if line["message"] == message]

    def await_line(self, message: str, number: int = 1) -> None:
        await_that(lambda: len(self.lines(message)) >= number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.child.process.send_signal(number)
        self.await_line("draining")


def head(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: proxy.test\r\nX-API-Token: {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def await_that(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_until(connection: socket.socket, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        part = connection.recv(65536)
        assert part, seen
        seen += part
    return seen


def read_all(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


@pytest.fixture
def serve(start, sandbox):
    def serve(shutdown_timeout: float) -> Service:
        return Service(
            start(
                "llm_proxy",
                "serve",
                ENVIRONMENT="testing",
                API_TOKEN=TOKEN,
                PORT="0",
                LLM_PROVIDER="sandbox",
                SANDBOX_BASE_URL=f"{sandbox.url}/v1",
                SANDBOX_API_KEY="any",
                SANDBOX_MODEL="fault-hang",
                SHUTDOWN_TIMEOUT=str(shutdown_timeout),
                RATE_LIMIT_ENABLED="false",
            )
        )

    return serve


def stream_of(path: str, model: str = "fault-stalled") -> dict:
    name = model if path == "/chat" else f"sandbox/{model}"
    return {**STREAMS[path][0], "model": name, "stream": True}


@pytest.mark.integration
class TestDrain:
    def test_running_streams_finish_while_new_work_is_refused(self, serve):
        service = serve(600)
        url = service.child.url
        with service.ask("/chat", stream_of("/chat", "slow-stream-150")) as running:
            begun = read_until(running, b"event: delta")
            service.stop()
            with httpx.Client(headers={"X-API-Token": TOKEN}, timeout=30) as late:
                ready = late.get(f"{url}/readyz")
                living = [
                    late.get(url + path).status_code
                    for path in ("/livez", "/health", "/metrics", "/api/v1/models")
                ]
            refused = {}
            for path in (*STREAMS, "/webhook", "/v1/embeddings"):
                # No byte of the body is sent.
                with service.connect(head(path, 1000)) as one_more:
                    refused[path] = read_all(one_more)
            ending = read_all(running)
        assert (ready.status_code, ready.headers["connection"]) == (503, "close")
        assert living == [200] * 4
        for path, answer in refused.items():
            top, _, body = answer.partition(b"\r\n\r\n")
            assert top.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 529 ")), path
            assert b"\r\nretry-after: 1" in top
            assert b"\r\nconnection: close" in top
            assert "shutting down" in json.loads(body)["error"]["message"]
        assert json.loads(refused["/v1/messages"].partition(b"\r\n\r\n")[2])["type"]
        assert b"event: done" in begun + ending
        assert service.child.process.wait(30) == 0
        assert service.lines("drain_cut") == []
        assert [line["success"] for line in service.lines("llm_call")] == [True]

    def test_nothing_to_do_is_the_end(self, serve):
        service = serve(600)
        service.child.process.terminate()
        assert service.child.process.wait(30) == 0
        assert len(service.lines("stopped")) == 1


@pytest.mark.integration
class TestCut:
    def test_whatever_still_runs_is_told_the_truth(self, serve, sandbox):
        seconds = 2.0
        service = serve(seconds)
        with ExitStack() as stack:
            plain = stack.enter_context(
                service.ask("/chat", {"model": "fault-hang", **STREAMS["/chat"][0]})
            )
            task = stack.enter_context(service.ask("/webhook", {"prompt": "Hello"}))
            half = stack.enter_context(service.connect(head("/chat", 1000) + b"{"))
            streams = {}
            for path in STREAMS:
                streams[path] = stack.enter_context(service.ask(path, stream_of(path)))
            begun = {
                path: read_until(stream, b"data: ") for path, stream in streams.items()
            }
            service.child.process.terminate()
            started = time.monotonic()
            refused = [read_all(each) for each in (plain, task, half)]
            ended = {path: begun[path] + read_all(streams[path]) for path in streams}
            assert service.child.process.wait(30) == 0
            took = time.monotonic() - started
        for answer in refused:
            top, _, body = answer.partition(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1" in top
            assert json.loads(body)["error"]["code"] == "OVERLOADED"
        for path, (_, failure, success) in STREAMS.items():
            assert failure in ended[path], path
            assert b"shutting down" in ended[path], path
            assert success not in ended[path], path
        calls = service.lines("llm_call")
        assert [call["success"] for call in calls] == [False] * 6
        assert [call["code"] for call in calls].count("OVERLOADED") >= 4
        assert len(service.lines("stopped")) == 1
        # With some time for a slow machine.
        assert took < seconds + 5
        open_ = httpx.get(f"{sandbox.url}/_sandbox/stats", timeout=30).json()["open"]
        assert open_ == 0

    def test_a_caller_who_does_not_read_is_left_behind(self, serve):
        service = serve(2.0)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(30)
            deaf.connect(service.address)
            # More than all the buffers on the way can hold.
            path = "/v1/chat/completions"
            content = json.dumps(stream_of(path, "chunks-99999")).encode()
            deaf.sendall(head(path, len(content)) + content)
            deaf.recv(100)
            service.child.process.terminate()
            assert service.child.process.wait(30) == 0
        [call] = service.lines("llm_call")
        assert call["success"] is False

    def test_a_second_interrupt_ends_it_at_once(self, serve):
        service = serve(600)
        with service.ask("/chat", stream_of("/chat")) as running:
            read_until(running, b"event: delta")
            service.stop(signal.SIGINT)
            service.child.process.send_signal(signal.SIGINT)
            assert b"event: done" not in read_all(running)
            assert service.child.process.wait(30) == 0
        [call] = service.lines("llm_call")
        assert call["success"] is False

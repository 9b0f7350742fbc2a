"""`serve` in a child process, as it runs in production."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

pytestmark = pytest.mark.integration

CHILD = """
import asyncio, json, sys
from contextvars import ContextVar
if "no-uvloop" in sys.argv:
    sys.modules["uvloop"] = None
from llm_proxy.server import EdgeLimits, ServerConfig, serve

draining = []
seen = ContextVar("seen", default="nothing")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    loop = type(asyncio.get_running_loop()).__module__
    facts = {"client": scope["client"][0], "loop": loop, "seen": seen.get()}
    seen.set("an earlier request")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/wait":
        while not draining:
            await asyncio.sleep(0.01)
    elif scope["path"] == "/stuck":
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(600)
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})

serve(app, ServerConfig(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    on_drain=lambda: draining.append(print("draining", flush=True) or True),
    on_ready=lambda: print("ready", flush=True),
    shutdown_timeout=float(sys.argv[2]),
    limits=EdgeLimits(65536, head_timeout=float(sys.argv[3]), body_timeout=30),
))
"""


class Service:
    def __init__(self, port: int, *arguments: str) -> None:
        self.address = ("127.0.0.1", port)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(port), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> tuple[int, list[str]]:
        """Waits for the end; returns the exit code and what was printed."""
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed.split()

    def close(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    services = []

    def start(
        *flags: str, shutdown_timeout: float = 30, head_timeout: float = 30
    ) -> Service:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        service = Service(port, str(shutdown_timeout), str(head_timeout), *flags)
        services.append(service)
        assert service.process.stdout.readline() == "ready\n"
        return service

    yield start
    for service in services:
        service.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_service(start, number):
    service = start()
    with service.http.stream("GET", "/wait") as answer:
        service.process.send_signal(number)
        # The request ends only after `on_drain`.
        assert json.loads(answer.read())["client"] == "127.0.0.1"
    assert service.ended() == (0, ["draining", "closed"])


def test_requests_that_outlast_the_shutdown_are_cut(start):
    service = start(shutdown_timeout=0.1)
    with service.http.stream("GET", "/stuck") as answer:
        service.process.terminate()
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    assert service.ended() == (0, ["draining", "closed"])


def test_a_second_interrupt_does_not_wait_for_requests(start):
    service = start(shutdown_timeout=600)
    with service.http.stream("GET", "/stuck"):
        service.process.send_signal(signal.SIGINT)
        assert service.process.stdout.readline() == "draining\n"
        service.process.send_signal(signal.SIGINT)
        service.ended()


@pytest.mark.parametrize(
    ("flags", "loop"), [((), "uvloop"), (("no-uvloop",), "asyncio.unix_events")]
)
def test_uvloop_is_used_where_it_is_installed(start, flags, loop):
    assert start(*flags).http.get("/").json()["loop"] == loop


def test_answers_say_when_and_not_from_what(start):
    headers = start().http.get("/").headers
    assert headers["date"].endswith("GMT")
    assert "server" not in headers


def test_client_addresses_are_left_to_the_application(start):
    answer = start().http.get("/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.json()["client"] == "127.0.0.1"


def test_a_request_inherits_nothing_from_an_earlier_one(start):
    with socket.create_connection(start().address, timeout=30) as pipelined:
        pipelined.sendall(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n")
        answers = pipelined.makefile("rb").read()
    assert answers.count(b'"seen": "nothing"') == 2


def test_connections_obey_the_limits(start):
    service = start(head_timeout=0.2)
    with socket.create_connection(service.address, timeout=30) as silent:
        assert silent.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_taken_port_fails_the_start(start):
    _, port = start().address
    second = Service(port, "30", "30")
    code, printed = second.ended()
    second.close()
    assert code != 0
    assert printed == []

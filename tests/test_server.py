"""`serve` in a child process, as it runs in production."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.integration

CHILD = """
import asyncio, json, sys
from contextvars import ContextVar
if "no-uvloop" in sys.argv:
    sys.modules["uvloop"] = None
from llm_proxy.drain import Drain
from llm_proxy.server import EdgeLimits, ServerConfig, serve

class Announced(Drain):
    def begin(self):
        if not self.is_draining:
            print("draining", flush=True)
        super().begin()

drain = Announced()
seen = ContextVar("seen", default="nothing")

PAGE = b"x" * 65536

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", flush=True)
        if "stuck" in sys.argv:
            await asyncio.sleep(600)
        await send({"type": "lifespan.shutdown.complete"})
        return
    loop = type(asyncio.get_running_loop()).__module__
    facts = {"client": scope["client"][0], "loop": loop, "seen": seen.get()}
    seen.set("an earlier request")
    if scope["path"] != "/body":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/wait":
        while not drain.is_draining:
            await asyncio.sleep(0.01)
    elif scope["path"] == "/endless":
        while True:
            await send({"type": "http.response.body", "body": PAGE, "more_body": True})
    elif scope["path"] in ("/body", "/hold"):
        print("waiting", flush=True)
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    elif scope["path"] == "/stuck":
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(600)
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})

serve(app, ServerConfig(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    drain=drain,
    on_ready=lambda: print("ready", flush=True),
    shutdown_timeout=float(sys.argv[2]),
    limits=EdgeLimits(
        max_head_bytes=65536,
        head_timeout=float(sys.argv[3]),
        body_timeout=30,
        max_connections=int(sys.argv[4]),
    ),
))
"""


WORDS = ("ready", "draining", "closed")


def limit_files(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (number // 2, number))


class Service:
    def __init__(self, port: int, *arguments: str, files: int | None = None) -> None:
        self.address = ("127.0.0.1", port)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(port), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=None if files is None else partial(limit_files, files),
        )

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=30)
        connection.sendall(sent)
        return connection

    def await_line(self, line: str) -> None:
        for printed in self.process.stdout:
            if printed == f"{line}\n":
                return
        pytest.fail(f"it never printed {line!r}")

    def ended(self) -> tuple[int, list[str]]:
        """Waits for the end; returns the exit code and what the child printed."""
        printed, _ = self.process.communicate(timeout=60)
        words = [line for line in printed.splitlines() if line in WORDS]
        return self.process.returncode, words

    def close(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    services = []

    def start(
        *flags: str,
        shutdown_timeout: float = 30,
        head_timeout: float = 30,
        max_connections: int = 4096,
        files: int | None = None,
    ) -> Service:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        numbers = (shutdown_timeout, head_timeout, max_connections)
        service = Service(port, *map(str, numbers), *flags, files=files)
        services.append(service)
        service.await_line("ready")
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


def test_it_listens_until_the_last_request_has_ended(start):
    service = start(shutdown_timeout=600)
    with service.http.stream("GET", "/hold"):
        service.process.terminate()
        service.await_line("draining")
        late = httpx.get(f"{service.http.base_url}/", timeout=30)
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert service.ended() == (0, ["closed"])


def test_a_connection_that_is_kept_gets_one_more_answer(start):
    service = start(shutdown_timeout=600)
    service.http.get("/")
    with service.connect(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n") as busy:
        assert busy.recv(65536)
        service.process.terminate()
        service.await_line("draining")
        assert service.http.get("/").headers["connection"] == "close"


def test_idle_connections_do_not_hold_up_the_end(start):
    service = start(shutdown_timeout=600)
    service.http.get("/")
    with service.connect(), service.connect(b"GET / HT"):
        service.process.terminate()
        assert service.ended() == (0, ["draining", "closed"])


@pytest.mark.parametrize("flags", [(), ("no-uvloop",)], ids=["uvloop", "asyncio"])
def test_callers_who_do_not_read_do_not_hold_up_the_end(start, flags):
    service = start(*flags, shutdown_timeout=1)
    with service.connect(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n") as deaf:
        deaf.recv(1)
        service.process.terminate()
        assert service.ended() == (0, ["draining", "closed"])


@pytest.mark.parametrize("flags", [(), ("no-uvloop",)], ids=["uvloop", "asyncio"])
def test_a_body_that_has_not_come_by_then_is_refused(start, flags):
    service = start(*flags, shutdown_timeout=3)
    head = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    with service.connect(head + b"half") as slow:
        service.await_line("waiting")
        service.process.terminate()
        answer = slow.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1" in head
    assert json.loads(body)["error"]["code"] == "OVERLOADED"
    assert service.ended() == (0, ["draining", "closed"])


def test_an_application_that_does_not_close_does_not_hold_up_the_end(start):
    service = start("stuck", shutdown_timeout=0.5)
    service.process.terminate()
    assert service.ended() == (0, ["draining", "closed"])


def test_a_second_interrupt_does_not_wait_for_requests(start):
    service = start(shutdown_timeout=600)
    with service.http.stream("GET", "/stuck"):
        service.process.send_signal(signal.SIGINT)
        service.await_line("draining")
        service.process.send_signal(signal.SIGINT)
        assert service.ended()[0] == 0


def test_a_second_sigterm_changes_nothing(start):
    service = start(shutdown_timeout=600)
    with service.http.stream("GET", "/wait") as answer:
        service.process.terminate()
        service.process.terminate()
        assert json.loads(answer.read())
    assert service.ended() == (0, ["draining", "closed"])


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
    two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n"
    with start().connect(two) as pipelined:
        answers = pipelined.makefile("rb").read()
    assert answers.count(b'"seen": "nothing"') == 2


def test_connections_obey_the_limits(start):
    service = start(head_timeout=0.2)
    with service.connect() as silent:
        assert silent.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_taken_port_fails_the_start_with_a_status_of_its_own(start):
    _, port = start().address
    second = subprocess.run(
        [sys.executable, "-c", CHILD, str(port), "30", "30", "4096"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (second.returncode, second.stdout) == (3, "")
    reason, advice = second.stderr.splitlines()[-1].split(". ")
    assert reason.startswith(f"llm-proxy cannot listen on 127.0.0.1:{port}: Address")
    assert "PORT=" in advice


def test_slow_and_endless_heads_do_not_keep_others_waiting(start):
    service = start()
    head = b"GET / HTTP/1.1\r\n"
    with ExitStack() as stack:
        for number in range(500):
            slow = stack.enter_context(service.connect(head + b"X-Slow: "))
            slow.sendall(b"x" * (number % 100))
        for _ in range(50):
            # Each is refused before all of it has been sent.
            with suppress(ConnectionError):
                stack.enter_context(service.connect(head + b"X: y\r\n" * 100_000))
        for _ in range(20):
            assert service.http.get("/", timeout=10).status_code == 200


def test_connections_beyond_the_limit_are_refused(start):
    service = start(max_connections=20)
    with ExitStack() as stack:
        slow = [stack.enter_context(service.connect(b"GET")) for _ in range(20)]
        with service.connect() as one_more:
            refused = one_more.makefile("rb").read()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in refused
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"]["details"] is None
        slow[0].close()
        await_answer(service)


def await_answer(service: Service) -> None:
    for _ in range(200):
        with suppress(httpx.TransportError):
            if service.http.get("/").status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail("it answers no more")


@pytest.mark.parametrize("flags", [(), ("no-uvloop",)], ids=["uvloop", "asyncio"])
def test_it_survives_more_connections_than_files(start, flags):
    service = start(*flags, files=64)
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(service.connect(b"GET"))
        busy = cpu_seconds(service.process.pid)
        time.sleep(1)
        assert cpu_seconds(service.process.pid) - busy < 0.5
    await_answer(service)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_open_files_are_as_many_as_the_system_allows(start):
    service = start(files=512)
    limits = Path(f"/proc/{service.process.pid}/limits").read_text()
    assert re.search(r"Max open files +512 +512 ", limits)
    service.process.terminate()
    printed, _ = service.process.communicate(timeout=60)
    assert printed

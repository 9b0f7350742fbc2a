"""Callers that hang up, over real sockets: the upstream call has to stop."""

import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.integration

PROMISED_SECONDS = 2
ANY_KEY = "any"


class Sandbox:
    """An upstream that counts what it sees."""

    def __init__(self, url):
        self._url = f"{url}/_sandbox/stats"

    def count(self, name):
        return httpx.get(self._url, timeout=10).json()[name]

    def await_count(self, name, number, seconds):
        deadline = time.monotonic() + seconds
        while (seen := self.count(name)) != number and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen == number, f"{name} is {seen} after {seconds} seconds"


@pytest.fixture(scope="module")
def sandbox_url(start):
    return start("llm_proxy.providers.sandbox", "--port", "0").url


@pytest.fixture(scope="module")
def service(start, sandbox_url):
    return start(
        "llm_proxy",
        "serve",
        ENVIRONMENT="testing",
        API_TOKEN="test_token",
        PORT="0",
        LLM_PROVIDER="sandbox",
        SANDBOX_BASE_URL=f"{sandbox_url}/v1",
        SANDBOX_API_KEY=ANY_KEY,
        SANDBOX_MODEL="fault-hang",
    )


def request(path, body):
    content = json.dumps(body)
    return (
        f"POST {path} HTTP/1.1\r\nHost: proxy.test\r\nX-API-Token: test_token\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        f"{content}"
    ).encode()


def chat(model, stream):
    body = {"provider": "sandbox", "model": model, "prompt": "Hello", "stream": stream}
    return request("/chat", body)


def await_lines(service, start):
    """The lines of the log up to the one that ends the request."""
    for _ in range(500):
        if '"message":"request"' in (log := service.log[start:]):
            return [json.loads(line) for line in log.splitlines()]
        time.sleep(0.02)
    pytest.fail(f"the request has not ended: {log}")


@pytest.mark.parametrize(
    ("sent", "awaited"),
    [
        (chat("fault-hang", stream=False), b""),
        (chat("fault-stalled", stream=False), b""),
        (request("/webhook", {"prompt": "Hello"}), b""),
        (chat("fault-hang", stream=True), b""),
        (chat("slow-first-token-60000", stream=True), b""),
        (chat("fault-stalled", stream=True), b"event: delta"),
    ],
    ids=[
        "plain, no head",
        "plain, half a body",
        "task",
        "stream, no head",
        "stream, no text",
        "stream, half an answer",
    ],
)
def test_a_caller_who_hangs_up_stops_the_upstream(service, sandbox_url, sent, awaited):
    sandbox = Sandbox(sandbox_url)
    aborted = sandbox.count("aborted")
    log = len(service.log)
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), 30) as caller:
        caller.sendall(sent)
        sandbox.await_count("open", 1, seconds=10)
        seen = b""
        while awaited not in seen:
            seen += caller.recv(65536)
    sandbox.await_count("aborted", aborted + 1, PROMISED_SECONDS)
    sandbox.await_count("open", 0, PROMISED_SECONDS)

    lines = await_lines(service, log)
    [call] = [line for line in lines if line["message"] == "llm_call"]
    assert call["success"] is False
    [access] = [line for line in lines if line["message"] == "request"]
    assert access["status"] == (200 if awaited else 499)
    assert [line for line in lines if line["level"] == "error"] == []

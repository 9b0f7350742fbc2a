"""What tests of the whole service share: its settings, its upstream, its callers."""

import asyncio
import gc
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import httpx2
import pytest
import pytest_asyncio
import respx
import structlog
import trustme
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from llm_proxy.main import create_app
from llm_proxy.settings import Settings

# Enough to notice a regression in seconds, and the same for everyone: what passes once
# passes again. New mistakes are looked for with "explore", by thousands and at random.
# A slow machine fails nothing.
hypothesis_settings.register_profile(
    "house",
    max_examples=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.register_profile(
    "explore",
    hypothesis_settings.get_profile("house"),
    max_examples=2000,
    derandomize=False,
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

TOKEN = "test_token"
OPENAI_KEY = "openai-key"
ANTHROPIC_KEY = "anthropic-key"
JOKE = "Why did the model cross the road?"


def pytest_collection_finish() -> None:
    """Spares the garbage collector all tests that were collected and still wait."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def authorities(tmp_path_factory) -> Iterator[None]:
    """Lets TLS clients trust nobody: loading all authorities takes 25 ms each time."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("authorities") / "nobody.pem"
        trustme.CA().cert_pem.write_to_path(path)
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


class Upstream:
    """OpenAI and Anthropic, as far as a test lets them answer.

    Attributes:
        openai: The route of OpenAI's chat completions.
        anthropic: The route of Anthropic's messages.
        transport: Leads to both, and nowhere else.
        open_streams: How many streams nobody has closed.
    """

    def __init__(self) -> None:
        router = respx.Router(assert_all_called=False)
        self.openai = router.post("https://api.openai.com/v1/chat/completions")
        self.anthropic = router.post("https://api.anthropic.com/v1/messages")
        self.transport = httpx.MockTransport(router.async_handler)
        self.open_streams = 0
        self.says(JOKE)

    def says(self, *texts: str) -> None:
        """Lets both vendors say these texts, one per call; the last one for good."""
        answers = iter([*texts[:-1]])

        def text() -> str:
            return next(answers, texts[-1])

        self.openai.side_effect = lambda _: httpx.Response(
            200, json=openai_answer(text())
        )
        self.anthropic.side_effect = lambda _: httpx.Response(
            200, json=anthropic_answer(text())
        )

    def fails(self, status: int, body: object = None, **headers: str) -> None:
        """Lets both vendors answer every call with an error."""
        for route in (self.openai, self.anthropic):
            route.side_effect = lambda _: httpx.Response(
                status, json=body or {}, headers=headers
            )

    def breaks(self, error: Exception) -> None:
        """Lets every call raise this."""
        self.openai.side_effect = self.anthropic.side_effect = error

    def streams(
        self, *pieces: str, end: Exception | None = None, stall: bool = False
    ) -> None:
        """Lets OpenAI stream these pieces, one per read, to a good end or another."""

        async def events() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield openai_event(delta={"content": piece})
            if end is not None:
                raise end
            if stall:
                await asyncio.Event().wait()
            yield openai_event(delta={}, finish_reason="stop")
            yield openai_event(usage=openai_answer("")["usage"])
            yield b"data: [DONE]\n\n"

        self.openai.side_effect = lambda _: httpx.Response(
            200,
            headers={"content-type": "text/event-stream"},
            stream=UpstreamBody(self, events()),
        )

    @property
    def sent(self) -> list[dict]:
        """The bodies that have left, in the order of the vendors."""
        calls = [*self.openai.calls, *self.anthropic.calls]
        return [json.loads(call.request.content) for call in calls]


class UpstreamBody(httpx.AsyncByteStream):
    """The body of a stream, which knows whether it is closed."""

    def __init__(self, upstream: Upstream, parts: AsyncIterator[bytes]) -> None:
        self._upstream = upstream
        self._parts = parts
        upstream.open_streams += 1

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts

    async def aclose(self) -> None:
        self._upstream.open_streams -= 1


def openai_answer(text: str) -> dict:
    return {
        "model": "gpt-4-0613",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    }


def openai_event(usage: dict | None = None, **choice: object) -> bytes:
    event = {"model": "gpt-4-0613", "choices": [choice] if choice else []}
    return b"data: %b\n\n" % json.dumps(event | {"usage": usage}).encode()


def anthropic_answer(text: str) -> dict:
    return {
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 7},
    }


class Client(httpx2.AsyncClient):
    """A program that calls the service."""

    async def chat(self, prompt: str = "Tell me a joke", **fields: object):
        """Posts a right body to `/chat`, with fields changed or added."""
        body = {"provider": "openai", "model": "gpt-4", "prompt": prompt}
        return await self.post("/chat", json=body | fields)

    async def webhook(self, prompt: str = "We ship on Friday.", **fields: object):
        """Posts a right body to `/webhook`, with fields changed or added."""
        return await self.post("/webhook", json={"prompt": prompt} | fields)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Callable[..., Settings]:
    """Makes settings that owe nothing to the machine; one attempt, so that none waits.

    Nothing is booked and nothing is cached, so that every call reaches its upstream and
    no test has to wait for a database; tests of that say so. The working directory is
    the test's own: an ``llm-proxy.yaml`` there is used.
    """
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)

    def settings(**overrides: object) -> Settings:
        values = {
            "environment": "testing",
            "api_token": TOKEN,
            "openai_api_key": OPENAI_KEY,
            "anthropic_api_key": ANTHROPIC_KEY,
            "retry_attempts": 1,
            "database_url": "off",
            "cache_policy": "off",
        }
        return Settings(**values | overrides)

    return settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(tmp_path_factory) -> Path:
    """A SQLite database with all tables, as migrations make them."""
    from llm_proxy.storage import Database, upgrade

    path = tmp_path_factory.mktemp("migrated") / "proxy.db"
    database = Database(f"sqlite:///{path}", timeout_seconds=60)
    await database.open()
    await upgrade(database)
    await database.aclose()
    return path


@pytest.fixture
def sqlite_url(migrated, tmp_path) -> str:
    """The address of a SQLite database with all tables: a copy takes no migrations."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path / 'proxy.db')}"


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Takes back what an application does to the logging of the process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def build(settings, upstream, restored_logging) -> Callable[..., FastAPI]:
    """Makes applications that reach no upstream but `upstream`."""
    return lambda **overrides: create_app(settings(**overrides), upstream.transport)


@pytest.fixture
async def client(build, monkeypatch) -> AsyncIterator[Callable[..., Client]]:
    """Makes callers: of a given application, or of one with these settings."""
    # Its lines are the caller's, and stand between those of the service.
    monkeypatch.setattr(logging.getLogger("httpx2"), "disabled", True)
    clients = []

    def client(
        app: FastAPI | None = None,
        *,
        address: str = "127.0.0.1",
        url: str = "http://proxy.test",
        headers: dict[str, str] | None = None,
        **overrides: object,
    ) -> Client:
        transport = httpx2.ASGITransport(app or build(**overrides), client=(address, 1))
        headers = {"x-api-token": TOKEN} if headers is None else headers
        clients.append(Client(transport=transport, base_url=url, headers=headers))
        return clients[-1]

    yield client
    for each in clients:
        await each.aclose()


@pytest.fixture
def logs(capsys) -> Callable[..., list[dict]]:
    """Reads the lines logged since the last reading; all, or those with one message."""

    def logs(message: str | None = None) -> list[dict]:
        lines = map(json.loads, capsys.readouterr().out.splitlines())
        return [line for line in lines if message in (None, line["message"])]

    return logs


class Child:
    """A server in a process of its own, which says in its log where it listens."""

    def __init__(self, log: Path, *arguments: str, **variables: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=os.environ | variables,
            )
        self.url = self._await_url()

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8")

    def _await_url(self) -> str:
        for _ in range(600):
            if found := re.search(r"running on (http://[\d.:]+)", self.log):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        pytest.fail(f"no server: {self.log}")

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Iterator[Callable[..., Child]]:
    """Starts servers that live as long as the tests of a module."""
    with ExitStack() as stack:
        yield lambda *arguments, **variables: stack.enter_context(
            Child(tmp_path_factory.mktemp("child") / "log", *arguments, **variables)
        )

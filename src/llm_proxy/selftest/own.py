"""An instance that runs for one self-test alone."""

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory, TemporaryFile

import httpx

from llm_proxy.selftest.instance import Instance
from llm_proxy.selftest.result import NotTestableError

_HOST = "127.0.0.1"
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
# Short, so that a minute is enough to wait for all of them.
_SETTINGS = {
    "ENVIRONMENT": "testing",
    "HOST": _HOST,
    "LLM_PROVIDER": "sandbox",
    "RATE_LIMIT_ENABLED": "false",
    "CONNECT_TIMEOUT": "0.8",
    "REQUEST_TIMEOUT": "2",
    "REQUEST_DEADLINE": "10",
    "STREAM_DEADLINE": "10",
    "RETRY_MULTIPLIER": "0.05",
    "RETRY_MIN_SECONDS": "0.05",
    "RETRY_MAX_SECONDS": "0.1",
    "RETRY_AFTER_MAX_SECONDS": "2",
    "BREAKER_COOLDOWN_SECONDS": "0.1",
    "HEAD_TIMEOUT": "2",
    "SHUTDOWN_TIMEOUT": "2",
}


@asynccontextmanager
async def start_own() -> AsyncGenerator[Instance]:
    """Start an instance in a child process, and stop it at the end.

    Nothing of the caller's environment and files reaches it.

    Yields:
        The instance, ready.

    Raises:
        NotTestableError: It did not start.
    """
    token = secrets.token_urlsafe(24)
    with socket.create_server((_HOST, 0)) as free:
        port: int = free.getsockname()[1]
    with (
        TemporaryDirectory(prefix="llm-proxy-selftest-") as directory,
        TemporaryFile() as output,
    ):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "llm_proxy", "serve"),
            cwd=directory,
            env=_SETTINGS | {"PORT": str(port), "API_TOKEN": token},
            stdout=output,
            stderr=output,
        )
        instance = Instance(f"http://{_HOST}:{port}", token, is_own=True)
        try:
            if not await _becomes_ready(instance.url, child):
                output.seek(0)
                said = output.read().decode(errors="replace")
                raise NotTestableError(f"No instance could be started:\n{said}")
            yield instance
        finally:
            await instance.aclose()
            await _stop(child)


async def answers(url: str) -> bool:
    """Say whether anything answers at an address.

    Args:
        url: Where.

    Returns:
        Whether ``/livez`` was answered, with whatever status.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            await client.get(f"{url}/livez")
        except httpx.TransportError:
            return False
    return True


async def _becomes_ready(url: str, child: asyncio.subprocess.Process) -> bool:
    end = asyncio.get_running_loop().time() + _START_SECONDS
    while child.returncode is None and asyncio.get_running_loop().time() < end:
        if await answers(url):
            return True
        await asyncio.sleep(0.05)
    return False


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()

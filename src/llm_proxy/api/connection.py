"""The caller's end of the connection: stop working once nobody listens."""

import asyncio
from types import TracebackType

from starlette.types import Receive

from llm_proxy.drain import Drain, Work


class ClientDisconnectedError(Exception):
    """The caller has hung up; nobody is left to be answered."""


class Connected:
    """Cancels what runs inside of it when the caller hangs up or the service stops.

    The request's body must have been read. Used as an async context manager, which
    raises `ClientDisconnectedError` or `OverloadedError` then.

    Args:
        receive: The ASGI channel on which the server reports the hang-up.
        drain: Says when the service stops.
    """

    def __init__(self, receive: Receive, drain: Drain) -> None:
        self._receive = receive
        self._work = Work(drain)

    async def __aenter__(self) -> None:
        self._work.__enter__()
        self._watcher = asyncio.create_task(self._watch())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        # It refers back to this; a cycle would wait for the garbage collector.
        del self._watcher
        self._work.__exit__(kind, error, traceback)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._work.end(ClientDisconnectedError())

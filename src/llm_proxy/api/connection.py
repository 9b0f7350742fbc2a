"""The caller's end of the connection: stop working once nobody listens."""

import asyncio
from types import TracebackType

from starlette.types import Receive


class ClientDisconnectedError(Exception):
    """The caller has hung up; nobody is left to be answered."""


class Connected:
    """Cancels what runs inside of it as soon as the caller hangs up.

    The request's body must have been read. Used as an async context manager.

    Args:
        receive: The ASGI channel on which the server reports the hang-up.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._hung_up = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watcher = asyncio.create_task(self._watch())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        if not self._hung_up or self._task is None:
            return
        if kind is None:
            # The cancellation came when the work was already done and waits for us.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self._task.uncancel()
        elif kind is asyncio.CancelledError and self._task.uncancel() == 0:
            raise ClientDisconnectedError from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._hung_up = True
        if self._task is not None:
            self._task.cancel()

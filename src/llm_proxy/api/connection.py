"""The caller's end of the connection: stop working once nobody listens."""

import asyncio
from types import TracebackType
from typing import cast

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
        # A coroutine always runs in a task.
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._watcher = asyncio.create_task(self._watch())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        by_caller = self._hung_up and kind is asyncio.CancelledError
        # Somebody else may have cancelled the task as well.
        if by_caller and self._task.uncancel() == 0:
            raise ClientDisconnectedError from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._hung_up = True
        self._task.cancel()

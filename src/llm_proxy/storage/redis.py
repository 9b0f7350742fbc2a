"""The one Redis of the service, which is never waited for long."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_proxy.storage.breaker import Breaker
from llm_proxy.storage.faults import unavailable
from llm_proxy.storage.redis_driver import (
    RefusedCommandError,
    answered,
    connector,
    is_trouble,
    reported,
)
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

_log = get_logger(__name__)

Arguments = Sequence[str | bytes | int]

# More would not be faster, and a burst would spend its time on opening them.
_MAX_CONNECTIONS = 10
# A call in a burst needs as many turns of the loop as others stand before it.
_PARTS = 100
# What Redis says against one command it will say against the next one, too.
_QUIET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Script:
    """A program in Lua that Redis runs as one step.

    Attributes:
        text: The program.
        digest: By which Redis knows it once it has seen it.
    """

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


class Redis:
    """Commands and scripts with a bound on their time.

    Whatever goes wrong is a `StorageUnavailableError`. If it is only that Redis does
    not carry out a command, it is a `RefusedCommandError`: others go on, and the log
    has an error, ``redis_refuses``, once a minute. Nothing is tried again: after a
    failure nobody knows whether the command was carried out. A server that was away is
    found again by one of the next calls.

    Args:
        url: As in ``REDIS_URL``.
        timeout_seconds: How long a call may take, and as long again the wait for a
            connection where more calls are made at once than there are connections.

    Raises:
        ConfigurationError: The address is not valid, or the driver is missing.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 0.2) -> None:
        self._connect = connector(url)
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._idle: list[AbstractConnection] = []
        self._breaker = Breaker("redis")
        self._is_closed = False
        self._quiet_until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether a call would fail at once, without a word to Redis."""
        return self._is_closed or self._breaker.is_refusing

    @property
    def timeout_seconds(self) -> float:
        """How long a command is waited for once it is sent."""
        return self._timeout_seconds

    async def open(self) -> None:
        """See whether Redis answers.

        Raises:
            StorageUnavailableError: It does not; one that comes back can be used
                without another call.
        """
        await self.execute("PING")

    async def aclose(self) -> None:
        """Close all connections; those that are in use, after their call."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_seconds):
                await asyncio.gather(*(each.disconnect() for each in idle))

    async def execute(self, *command: str | bytes | int | float) -> Any:  # noqa: ANN401
        """Carry out one command.

        Args:
            command: Its name and its arguments.

        Returns:
            What Redis answers: bytes, whole numbers, None, and lists of them.

        Raises:
            StorageUnavailableError: Redis is in trouble, or took too long.
            RefusedCommandError: It does not carry out the command.
        """
        async with self._connection() as connection:
            return await _ask(connection, *command)

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Arguments | Callable[[], Arguments],
    ) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run a script; Redis is sent its text only if it does not know it.

        Args:
            script: The program.
            keys: The keys that it touches, ``KEYS`` in it.
            arguments: ``ARGV`` in it, or what makes it at the moment of sending.

        Returns:
            What it returns, as `execute` does.

        Raises:
            StorageUnavailableError: Redis is in trouble, or took too long.
            RefusedCommandError: A command of the script fails.
        """
        from redis.exceptions import NoScriptError

        async with self._connection() as connection:
            made = arguments if isinstance(arguments, Sequence) else arguments()
            given = (len(keys), *keys, *made)
            try:
                return await _ask(connection, "EVALSHA", script.digest, *given)
            except NoScriptError:
                return await _ask(connection, "EVAL", script.text, *given)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator["AbstractConnection"]:
        """Give a connection for one call, with all the bounds on it."""
        if self._is_closed:
            raise unavailable("redis is closed")
        async with self._limit():
            # Those who wait here are in each other's way, and Redis is not to blame.
            await self._places.acquire()
        try:
            with answered(), self._breaker.attempt(), reported():
                async with self._limit(), self._lend() as connection:
                    yield connection
        except RefusedCommandError as error:
            self._tell(error)
            raise
        finally:
            self._places.release()

    def _tell(self, error: RefusedCommandError) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            _log.error("redis_refuses", reason=error.log_detail)

    @asynccontextmanager
    async def _limit(self) -> AsyncGenerator[None]:
        """End what takes too long.

        The time is counted in small parts, each of which begins after the one before:
        a loop that stands still, or has much else to do, must not take Redis for
        silent.
        """
        loop = asyncio.get_running_loop()
        part, left = self._timeout_seconds / _PARTS, _PARTS
        limit = asyncio.timeout(None)
        timer: asyncio.TimerHandle

        def count() -> None:
            nonlocal left, timer
            left -= 1
            if left:
                timer = loop.call_later(part, count)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(part, count)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise unavailable(f"not done in {self._timeout_seconds:g} s") from error
        finally:
            timer.cancel()

    @asynccontextmanager
    async def _lend(self) -> AsyncGenerator["AbstractConnection"]:
        """Give a connection; only one that waits for no answer is used again."""
        from redis.exceptions import ResponseError

        connection = self._idle.pop() if self._idle else self._connect()
        is_clean = False
        try:
            await _make_ready(connection)
            yield connection
            is_clean = True
        except ResponseError as error:
            is_clean = not is_trouble(error)
            if not is_clean:
                # By now another server may have the address.
                await self._hang_up()
            raise
        finally:
            if is_clean and not self._is_closed:
                self._idle.append(connection)
            else:
                await connection.disconnect(nowait=True)

    async def _hang_up(self) -> None:
        idle, self._idle = self._idle, []
        for each in idle:
            await each.disconnect(nowait=True)


async def _make_ready(connection: "AbstractConnection") -> None:
    if connection.is_connected and await connection.can_read():
        # The server has hung up.
        await connection.disconnect(nowait=True)
    if not connection.is_connected:
        await connection.connect()  # type: ignore[no-untyped-call]


async def _ask(
    connection: "AbstractConnection", *command: str | bytes | int | float
) -> Any:  # noqa: ANN401 - of any type
    await connection.send_command(*command)
    return await connection.read_response()

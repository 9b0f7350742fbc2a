"""Flow control of one connection, which loses patience."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

# Programs may work on what they have read before they read on, but not for ever: what
# is written for them stays in memory meanwhile.
STALL_SECONDS = 120.0


class LastAnswer:
    """A transport that leaves it to somebody else how it is closed.

    Args:
        transport: Takes what is written.
        close: Closes it.
    """

    def __init__(self, transport: Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Flow(FlowControl):
    """Flow control with a deadline for what the client sends, and one for its reading.

    The first rests while reading is paused: a client cannot send to a server that does
    not read. The second begins anew with every byte that the client takes.

    Args:
        transport: The connection.
        loop: Its event loop.
        expired: Called when the client has not sent in time.
    """

    def __init__(
        self, transport: Transport, loop: AbstractEventLoop, expired: Callable[[], None]
    ) -> None:
        super().__init__(transport)
        self._connection = transport
        self._loop = loop
        self._expired = expired
        self._remaining: float | None = None
        self._timer: TimerHandle | None = None
        self._unread = 0
        self._stall: TimerHandle | None = None

    def ensure(self, seconds: float) -> None:
        """Start the deadline for what the client sends, unless it runs already.

        Args:
            seconds: How long the client has.
        """
        if self._remaining is None:
            self._remaining = seconds
            if not self.read_paused:
                self._timer = self._loop.call_later(seconds, self._expired)

    def clear(self) -> None:
        """Drop that deadline: what was due has arrived."""
        self._remaining = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Drop both deadlines: the connection is lost."""
        self.clear()
        self._end_stall()
        # It refers back to the connection, which refers to this.
        self._expired = _nothing

    def pause_reading(self) -> None:
        """Read no more for now."""
        super().pause_reading()
        if self._timer is not None:
            self._remaining = self._timer.when() - self._loop.time()
            self._timer.cancel()
            self._timer = None

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused:
            super().resume_reading()
            if self._remaining is not None:
                self._timer = self._loop.call_later(self._remaining, self._expired)

    def pause_writing(self) -> None:
        """Write no more for now: the client does not read as fast."""
        super().pause_writing()
        self._await_progress()

    def resume_writing(self) -> None:
        """Write on: the client has read."""
        super().resume_writing()
        self._end_stall()

    def _await_progress(self) -> None:
        self._unread = self._connection.get_write_buffer_size()
        self._stall = self._loop.call_later(STALL_SECONDS, self._check_progress)

    def _check_progress(self) -> None:
        if self._connection.get_write_buffer_size() >= self._unread:
            # To close it would wait until all is read.
            self._connection.abort()
        else:
            self._await_progress()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _nothing() -> None:
    """Stand in for what is no longer to be called."""

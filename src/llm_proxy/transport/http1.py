"""One HTTP/1.1 connection to an upstream (RFC 9112), parsed by httptools."""

import asyncio
import select
import ssl
from collections.abc import Sequence
from typing import cast

import httptools
import httpx

# A reader that is slower than the upstream makes us hold this much, and no more.
_HIGH_WATER_BYTES = 256 * 1024
# Of what is not body: heads, chunk extensions, trailers.
_MAX_FRAMING_BYTES = 128 * 1024

Header = tuple[bytes, bytes]


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `send`, then `read` until it returns nothing.

    Any failure, and `close` before the end of the body, ends the connection.

    Attributes:
        idle_since: When its last exchange ended, on the event loop's clock.
        status: Status of the response, once `send` has returned.
        headers: Its header fields as they came.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._input: select.poll | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: httpx.TransportError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._is_paused = False
        self._read_timeout: float | None = None
        self._reset(read_timeout=None)

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange can follow."""
        return (
            self._complete
            and self._keep_alive
            and not self._chunks
            and not self._is_closed
        )

    def has_input(self) -> bool:
        """Look whether the kernel holds bytes or an end that the loop has yet to see.

        Returns:
            True if so; on an idle connection that means it is of no more use.
        """
        if self._transport is None or self._is_closed:
            return True
        if self._input is None:
            self._input = select.poll()
            self._input.register(
                self._transport.get_extra_info("socket"), select.POLLIN
            )
        return bool(self._input.poll(0))

    async def send(self, request: Sequence[bytes], read_timeout: float | None) -> None:
        """Send a request and wait for the head of its response.

        Args:
            request: The bytes of its head and body.
            read_timeout: Seconds that the upstream may be silent, now and later;
                the first silence includes the time it takes to accept the request.

        Raises:
            httpx.ReadTimeout: It was silent for longer.
            httpx.RemoteProtocolError: It closed, or what it sent is not HTTP.
            httpx.ReadError: The connection broke.
        """
        if self._transport is None or self._is_closed:
            raise httpx.RemoteProtocolError("the connection is closed")
        if read_timeout != self._read_timeout:
            self._stop_timer()
        self._reset(read_timeout)
        self._parser = httptools.HttpResponseParser(self)
        self._transport.writelines(request)
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """Wait for more of the body.

        Returns:
            All that has come; nothing at the end.

        Raises:
            httpx.TransportError: As `send`.
        """
        while not self._chunks:
            if self._complete:
                return b""
            await self._wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._is_paused and self._transport is not None and not self._is_closed:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def limit_silence(self, seconds: float | None) -> None:
        """Change the time-out of the exchange that is under way.

        Args:
            seconds: How long the upstream may be silent; None for no bound.
        """
        if seconds != self._read_timeout:
            # The next wait starts a timer for it.
            self._stop_timer()
            self._read_timeout = seconds

    def close(self) -> None:
        """Drop the connection at once; whoever waits for its response is told."""
        self._end(httpx.ReadError("the connection was closed"))

    def _reset(self, read_timeout: float | None) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self._chunks: list[bytes] = []
        self._has_head: bool = False
        self._complete: bool = False
        self._keep_alive: bool = False
        self._is_paused = False
        self._framing_bytes = self._buffered = 0
        self._read_timeout = read_timeout
        self._waiting_since = 0.0

    async def _wait(self) -> None:
        """Wait until something has changed; raise what has gone wrong before."""
        if self._failure is not None:
            raise _again(self._failure)
        self._waiting_since = self._loop.time()
        if self._timer is None and self._read_timeout is not None:
            self._timer = self._loop.call_later(self._read_timeout, self._check_silence)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check_silence(self) -> None:
        """Run once per time-out; a timer per wait or exchange would cost more."""
        self._timer = None
        if self._read_timeout is None or self._complete:
            return
        left = self._read_timeout
        if self._waiter is not None:
            left += self._waiting_since - self._loop.time()
        if left <= 0:
            self._end(httpx.ReadTimeout("the upstream is silent"))
        else:
            self._timer = self._loop.call_later(max(left, 0.001), self._check_silence)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, failure: httpx.TransportError) -> None:
        """End the connection, which is a failure unless the response is complete."""
        if self._failure is None and not self._complete:
            self._failure = failure
        self._is_closed = True
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_end_here(self) -> bool:
        """Whether the end of the connection is the body's (RFC 9112, 6.3 and 9.8)."""
        if not self._has_head or any(
            name.lower() in (b"content-length", b"transfer-encoding")
            for name, _ in self.headers
        ):
            return False
        tls: ssl.SSLObject | None = None
        if self._transport is not None:
            tls = self._transport.get_extra_info("ssl_object")
        try:
            return tls is None or not tls.read(1)
        except ssl.SSLError:
            # No close_notify: anybody on the way could have cut it short.
            return False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        # uvloop's transport is one by its methods, not by its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse, then wake the reader once, however many chunks there were."""
        if self._is_closed:
            return
        if self._parser is None or self._complete:
            self._end(httpx.RemoteProtocolError("bytes that nobody asked for"))
            return
        self._waiting_since = self._loop.time()
        if self._framing_bytes > _MAX_FRAMING_BYTES:
            self._end(httpx.RemoteProtocolError("too many bytes that are not body"))
            return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(httpx.RemoteProtocolError(type(error).__name__))
            return
        # After the end, reading goes on: what still comes must end the connection.
        is_full = self._buffered > _HIGH_WATER_BYTES and not self._complete
        if is_full and not self._is_paused:
            self._is_paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Say whether that was the end of the body or of the connection only."""
        if not self._is_closed and self._may_end_here():
            self._complete = True
        self._end(httpx.RemoteProtocolError("the upstream closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if exc is None:
            self._end(httpx.RemoteProtocolError("the upstream closed the connection"))
        else:
            self._end(httpx.ReadError(type(exc).__name__))
        # It refers back to this connection.
        self._parser = None

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Refuse a second response, which nobody has asked for."""
        if self._complete:
            raise httpx.RemoteProtocolError("bytes that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header field; trailers are dropped (RFC 9110, 6.5.1)."""
        if not self._has_head:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note the status; heads of informational responses are passed over."""
        assert self._parser is not None  # noqa: S101
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
            self._framing_bytes = 0
            self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if not self._has_head:
            raise httpx.RemoteProtocolError("an informational response with a body")
        self._chunks.append(data)
        self._buffered += len(data)
        self._framing_bytes = 0

    def on_message_complete(self) -> None:
        """Note the end of a response."""
        if not self._has_head:
            self.headers = []
            return
        self._complete = True
        self.idle_since = self._loop.time()
        # The next request would stand behind what the upstream has not read of this.
        if self._transport is None or self._transport.get_write_buffer_size():
            self._keep_alive = False


def _again(failure: httpx.TransportError) -> httpx.TransportError:
    """Copy a failure: one that is raised and kept makes a cycle with what raises it."""
    return type(failure)(*failure.args)

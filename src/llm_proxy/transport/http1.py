"""One HTTP/1.1 connection to an upstream (RFC 9112), parsed by httptools."""

import asyncio
from collections.abc import Sequence
from typing import cast

import httptools
import httpx

# A reader that is slower than the upstream makes us hold this much, and no more.
_HIGH_WATER_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 128 * 1024

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
        self.status = 0
        self.headers: list[Header] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: httpx.TransportError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_head = False
        self._complete = False
        self._keep_alive = False
        self._is_paused = False
        self._reset(read_timeout=None)

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange can follow."""
        return self._complete and self._keep_alive and not self._is_closed

    async def send(self, request: Sequence[bytes], read_timeout: float | None) -> None:
        """Send a request and wait for the head of its response.

        Args:
            request: The bytes of its head and body.
            read_timeout: Seconds that the upstream may be silent, now and later.

        Raises:
            httpx.ReadTimeout: It was silent for longer.
            httpx.RemoteProtocolError: It closed, or what it sent is not HTTP.
            httpx.ReadError: The connection broke.
        """
        if self._transport is None or self._is_closed:
            raise httpx.RemoteProtocolError("the connection is closed")
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
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Drop the connection at once."""
        self._finish()
        if self._transport is not None:
            self._transport.abort()

    @property
    def _is_closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _reset(self, read_timeout: float | None) -> None:
        self.headers = []
        self._has_head = self._complete = self._keep_alive = self._is_paused = False
        # Without a length or chunks a body ends with the connection (RFC 9112, 6.3).
        self._has_length = False
        self._head_bytes = self._buffered = 0
        self._chunks: list[bytes] = []
        self._read_timeout = read_timeout
        self._waiting_since = 0.0

    async def _wait(self) -> None:
        """Wait until something has changed; raise what has gone wrong."""
        if self._failure is not None:
            raise self._failure
        self._waiting_since = self._loop.time()
        if self._timer is None and self._read_timeout is not None:
            self._timer = self._loop.call_later(self._read_timeout, self._check_silence)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._failure is not None:
            raise self._failure

    def _check_silence(self) -> None:
        """Run once per time-out rather than once per wait, which would cost more."""
        self._timer = None
        if self._read_timeout is None or self._complete:
            return
        left = self._waiting_since + self._read_timeout - self._loop.time()
        if self._waiter is not None and left <= 0:
            self._fail(httpx.ReadTimeout("the upstream is silent"))
        else:
            left = left if self._waiter is not None else self._read_timeout
            self._timer = self._loop.call_later(max(left, 0.001), self._check_silence)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: httpx.TransportError) -> None:
        if self._failure is None and not self._complete:
            self._failure = failure
        self.close()
        self._wake()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        # uvloop's transport is one by its methods, not by its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse, then wake the reader once, however many chunks there were."""
        if self._parser is None or self._complete:
            # Nobody has asked for this.
            self.close()
            return
        self._waiting_since = self._loop.time()
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES + len(data):
                self._fail(httpx.RemoteProtocolError("the response head is too large"))
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))
            return
        if self._buffered > _HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say whether that was an end or a failure."""
        if self._has_head and not self._has_length and exc is None:
            self._complete = True
        elif exc is None:
            self._fail(httpx.RemoteProtocolError("the upstream closed the connection"))
        else:
            self._fail(httpx.ReadError(type(exc).__name__))
        self._finish()
        self._wake()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header field."""
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        """Note the status; heads of informational responses are passed over."""
        assert self._parser is not None  # noqa: S101
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
            self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._chunks.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        """Note the end of a response."""
        if self._has_head:
            self._complete = True
            self.idle_since = self._loop.time()
            self._finish()
        else:
            self.headers = []
            self._has_length = False

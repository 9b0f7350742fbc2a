"""A caller: one connection at a time, and what comes back over it."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from enum import Enum

_PATIENCE_SECONDS = 30.0
_SOON_SECONDS = 0.05
# Closing then sends a reset.
_NO_LINGER = struct.pack("ii", 1, 0)


class Leave(Enum):
    """When a caller hangs up."""

    IN_HEAD = "in the head"
    IN_BODY = "in the body"
    AT_ONCE = "when all is sent"
    SOON = "before the first token"
    MIDDLE = "in the middle of the answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: Of HTTP; 0 if the connection ended first, -1 if nothing came in time.
        streamed: Whether it is a stream of events.
        body: All of it, or as much as came.
        whole: Whether HTTP says that this is all.
    """

    status: int
    streamed: bool = False
    body: bytes = b""
    whole: bool = False


class Caller:
    """Sends requests over one connection, and opens another one when that has ended.

    Args:
        port: Where the service listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Reply:
        """Sends a request and waits for the end of the answer.

        Args:
            request: All of its bytes, or fewer for a caller who falls silent.

        Returns:
            What came.
        """
        reader, writer = await self._connect()
        writer.write(request)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reply, stays = await _read_reply(reader)
        except TimeoutError:
            reply, stays = Reply(-1), False
        except (OSError, EOFError):
            reply, stays = Reply(0), False
        if not stays:
            self.hang_up()
        return reply

    async def leave(self, request: bytes, when: Leave, abruptly: bool) -> None:
        """Sends a request, or the beginning of one, and hangs up.

        Args:
            request: All of its bytes.
            when: How far to go.
            abruptly: Whether to reset the connection instead of ending it.
        """
        head_length = request.index(b"\r\n\r\n") + 4
        sent = {
            Leave.IN_HEAD: head_length // 2,
            Leave.IN_BODY: (head_length + len(request)) // 2,
        }
        reader, writer = await self._connect()
        writer.write(request[: sent.get(when, len(request))])
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await writer.drain()
                if when is Leave.SOON:
                    await asyncio.sleep(_SOON_SECONDS)
                elif when is Leave.MIDDLE:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.read(1)
        except (TimeoutError, OSError, EOFError):
            pass
        self.hang_up(abruptly)

    def hang_up(self, abruptly: bool = False) -> None:
        """Ends the connection.

        Args:
            abruptly: Whether to reset it.
        """
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        if abruptly:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()
        else:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=2**22
            )
        return self._streams


async def _read_reply(reader: asyncio.StreamReader) -> tuple[Reply, bool]:
    """Read one answer; also say whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    streamed = b"content-type: text/event-stream" in head
    stays = b"\r\nconnection: close" not in head
    _, found, rest = head.partition(b"\r\ncontent-length:")
    pieces: list[bytes] = []
    try:
        if found:
            pieces.append(await reader.readexactly(int(rest.partition(b"\r\n")[0])))
        else:
            await _read_chunks(reader, pieces)
    except (OSError, EOFError):
        return Reply(status, streamed, b"".join(pieces)), False
    return Reply(status, streamed, b"".join(pieces), whole=True), stays


async def _read_chunks(reader: asyncio.StreamReader, pieces: list[bytes]) -> None:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)

"""The provider that every server under test calls: prebuilt bytes, no HTTP library.

It has to cost far less than what is measured, so it reads no more of a request than
where it ends and whether it wants a stream.
"""

import asyncio
import json
import sys
from collections.abc import Iterator

import uvloop

TOKEN = "token "
STREAM_TOKENS = 100
ANSWER = "A proxy stands between a program and the models it uses. " * 6

_USAGE = {"prompt_tokens": 120, "completion_tokens": 100, "total_tokens": 220}
_COMMON = {"id": "chatcmpl-bench", "created": 1700000000, "model": "gpt-4"}


def plain_body() -> bytes:
    """Returns a chat completion of about 600 bytes."""
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return json.dumps(_COMMON | answer).encode()


def stream_events() -> list[bytes]:
    """Returns an event per token, the last chunk with usage, and the end."""
    events = [_event({"content": TOKEN}, {}) for _ in range(STREAM_TOKENS)]
    events.append(_event({}, {"usage": _USAGE}, "stop"))
    return [*events, b"data: [DONE]\n\n"]


def _event(
    delta: dict[str, str], more: dict[str, object], finish: str | None = None
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"object": "chat.completion.chunk", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(_COMMON | chunk | more).encode()


def _plain_response() -> bytes:
    body = plain_body()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )


def _stream_writes() -> Iterator[bytes]:
    yield (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    for event in stream_events():
        yield b"%x\r\n%b\r\n" % (len(event), event)
    yield b"0\r\n\r\n"


_PLAIN = _plain_response()
_STREAM = tuple(_stream_writes())


class Stub(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Starts with nothing received."""
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answers once the whole request is there."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._received = b""
        if b'"stream":true' in body.replace(b" ", b""):
            self._send(0)
        else:
            self._transport.write(_PLAIN)

    def _send(self, position: int) -> None:
        """Writes one piece per turn of the loop: together they would be one packet."""
        if self._transport.is_closing():
            return
        self._transport.write(_STREAM[position])
        if position + 1 < len(_STREAM):
            self._loop.call_soon(self._send, position + 1)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))

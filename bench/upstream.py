"""The provider that every server under test calls: prebuilt bytes, no HTTP library.

It has to cost far less than what is measured, so it reads no more of a request than
where it ends and whether it wants a stream.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence

import uvloop

TOKEN = "token "
STREAM_TOKENS = 100
ANSWER = "A proxy stands between a program and the models it uses. " * 6

_USAGE = {"prompt_tokens": 120, "completion_tokens": 100, "total_tokens": 220}
_COMMON = {"id": "chatcmpl-bench", "created": 1700000000, "model": "gpt-4"}
_MESSAGE = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "usage": {"input_tokens": 120, "output_tokens": 100},
}


def plain_body() -> bytes:
    """Returns a chat completion of about 600 bytes."""
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return _dump(_COMMON | answer)


def stream_events() -> list[bytes]:
    """Returns an event per token, the last chunk with usage, and the end."""
    events = [_event({"content": TOKEN}, {}) for _ in range(STREAM_TOKENS)]
    events.append(_event({}, {"usage": _USAGE}, "stop"))
    return [*events, b"data: [DONE]\n\n"]


def message_body() -> bytes:
    """Returns the same answer as Anthropic writes it."""
    text = {"type": "text", "text": ANSWER}
    answer = {"content": [text], "stop_reason": "end_turn", "stop_sequence": None}
    return _dump(_MESSAGE | answer)


def message_events() -> list[bytes]:
    """Returns the same stream as Anthropic writes it."""
    begun: dict[str, object] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    text = {"type": "text_delta", "text": TOKEN}
    block = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        _named("message_start", {"message": _MESSAGE | begun}),
        _named("content_block_start", {"index": 0, "content_block": block}),
        *[_named("content_block_delta", {"index": 0, "delta": text})] * STREAM_TOKENS,
        _named("content_block_stop", {"index": 0}),
        _named("message_delta", {"delta": end, "usage": {"output_tokens": 100}}),
        _named("message_stop", {}),
    ]


def _named(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _dump({"type": name} | fields))


def _dump(value: object) -> bytes:
    # Without spaces, as the vendors write.
    return json.dumps(value, separators=(",", ":")).encode()


def _event(
    delta: dict[str, str], more: dict[str, object], finish: str | None = None
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"object": "chat.completion.chunk", "choices": [choice]}
    return b"data: %b\n\n" % _dump(_COMMON | chunk | more)


def _plain_response(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )


def _stream_writes(events: Iterable[bytes]) -> Iterator[bytes]:
    yield (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    for event in events:
        yield b"%x\r\n%b\r\n" % (len(event), event)
    yield b"0\r\n\r\n"


_PLAIN = _plain_response(plain_body())
_STREAM = tuple(_stream_writes(stream_events()))
_PLAIN_MESSAGE = _plain_response(message_body())
_STREAMED_MESSAGE = tuple(_stream_writes(message_events()))


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
        anthropic = head.startswith(b"POST /v1/messages ")
        if b'"stream":true' in body.replace(b" ", b""):
            self._send(_STREAMED_MESSAGE if anthropic else _STREAM, 0)
        else:
            self._transport.write(_PLAIN_MESSAGE if anthropic else _PLAIN)

    def _send(self, pieces: Sequence[bytes], position: int) -> None:
        """Writes one piece per turn of the loop: together they would be one packet."""
        if self._transport.is_closing():
            return
        self._transport.write(pieces[position])
        if position + 1 < len(pieces):
            self._loop.call_soon(self._send, pieces, position + 1)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))

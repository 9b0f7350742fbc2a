"""A server that looks like the service and breaks its promises."""

import asyncio
import contextlib
import json
import re
from typing import Any

LIE = "Half of"
NAMES = (
    "x-request-id: req_1",
    "x-llm-proxy-trace: tr_1",
    "x-llm-proxy-attempts: 1",
    "x-llm-proxy-model: sandbox/sandbox",
)
META = {"finish_reason": "stop", "usage": {"input_tokens": 3, "output_tokens": 5}}
NATIVE = {"provider": "sandbox", "model": "sandbox", "response": LIE, "meta": META}
OPENAI = {
    "model": "sandbox",
    "choices": [{"message": {"content": LIE}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5},
}
ANTHROPIC = {
    "model": "sandbox",
    "content": [{"type": "text", "text": LIE}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 5},
}
CHUNK = {
    "model": "sandbox",
    "choices": [{"delta": {"content": LIE}, "finish_reason": "stop"}],
    "usage": OPENAI["usage"],
}
MESSAGE = {"model": "sandbox", "usage": {"input_tokens": 3, "output_tokens": 5}}
STREAMS: dict[str, list[tuple[str, Any]]] = {
    "/chat": [("delta", {"response": LIE}), ("done", NATIVE)],
    "/v1/chat/completions": [("", CHUNK), ("", "[DONE]")],
    "/v1/messages": [
        ("message_start", {"type": "message_start", "message": MESSAGE}),
        (
            "content_block_delta",
            {"type": "content_block_delta", "delta": {"text": LIE}},
        ),
        (
            "message_delta",
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        ),
        ("message_stop", {"type": "message_stop"}),
    ],
}
ANSWERS = {"/chat": NATIVE, "/v1/chat/completions": OPENAI, "/v1/messages": ANTHROPIC}
TRACE = {"data": {"attempts": [{"provider": "sandbox", "model": "m"}]}}


class Liar:
    """Answers every question at once, wholly, and in the right form: with half a text.

    Attributes:
        url: Where it is.
        whole_text: What it says to the first question of all.
        headers: What its answers say besides, a line each.
    """

    def __init__(
        self, whole_text: str = "Half of it is not all of it.", *headers: str
    ) -> None:
        self.whole_text = whole_text
        self.headers = headers
        self._asked = 0
        self._looked = 0

    async def __aenter__(self) -> "Liar":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            data = await reader.read(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: ([0-9]{1,5})\r\n", head + b"\r\n")
            while length and len(body) < int(length[1]):
                body += await reader.read(65536)
            path = head.partition(b" ")[2].partition(b" ")[0].decode(errors="replace")
            kind, answer = self._answer(path, body)
            lines = ("HTTP/1.1 200 OK", f"content-type: {kind}", *NAMES, *self.headers)
            closing = f"connection: close\r\ncontent-length: {len(answer)}\r\n\r\n"
            writer.write("\r\n".join((*lines, closing)).encode() + answer)
            await writer.drain()
        writer.close()

    def _answer(self, path: str, body: bytes) -> tuple[str, bytes]:
        if path == "/metrics":
            # Somebody who hangs up leaves a call behind: once, to save time.
            self._looked += 1
            return "text/plain", b"llm_active_requests %d\n" % (self._looked > 1)
        if path not in ANSWERS:
            told = TRACE if "/traces/" in path else {"status": "down"}
            return "application/json", json.dumps(told).encode()
        self._asked += 1
        if b'"stream":true' in body.replace(b" ", b""):
            events = (
                (f"event: {name}\n" if name else "")
                + f"data: {data if data == '[DONE]' else json.dumps(data)}\n\n"
                for name, data in STREAMS[path]
            )
            return "text/event-stream", "".join(events).encode()
        answer = json.dumps(ANSWERS[path])
        if self._asked == 1:
            answer = answer.replace(LIE, self.whole_text)
        return "application/json", answer.encode()

"""Replies as values, and the response that plays them."""

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Dialect, Problem


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that sends nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """A step that closes the connection; what has been sent still arrives.

    Attributes:
        abruptly: It is reset instead (RST for FIN), and what has been sent may be lost.
    """

    abruptly: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """A step that sends bytes past HTTP's framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Endless:
    """Steps that are repeated for as long as the client stays."""

    steps: tuple[bytes | Pause, ...]


Step = bytes | Pause | HangUp | Raw | Endless


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything that goes out, in order.

    Attributes:
        status: HTTP status.
        headers: HTTP headers.
        steps: The body. Status and headers go out with the first bytes, even with none.
    """

    status: int
    headers: Mapping[str, str]
    steps: tuple[Step, ...] = ()


def answer_reply(
    dialect: Dialect, question: Question, answer: Answer, request_id: str
) -> Reply:
    """Put an answer into the form that was asked for.

    Args:
        dialect: The vendor's JSON.
        question: Says whether the answer is streamed.
        answer: What the model says.
        request_id: Goes into the vendor's header for it.

    Returns:
        A stream has one step per event.
    """
    if not question.stream:
        return json_reply(dialect, dialect.write(answer), request_id)
    events = dialect.events(answer, include_usage=question.include_usage)
    headers = {
        "content-type": dialect.framing.media_type,
        "cache-control": "no-cache",
        **_request_id(dialect, request_id),
    }
    return Reply(200, headers, tuple(events))


def problem_reply(dialect: Dialect, problem: Problem, request_id: str) -> Reply:
    """Put a problem into the vendor's words.

    Args:
        dialect: The vendor's JSON.
        problem: Why there is no answer.
        request_id: Goes into the vendor's header for it.

    Returns:
        The reply, with the problem's status.
    """
    error = dialect.error(problem, request_id)
    reply = json_reply(dialect, error, request_id, problem.status)
    headers = {**reply.headers, **dialect.error_headers(problem)}
    return replace(reply, headers=headers)


def json_reply(
    dialect: Dialect, value: Mapping[str, Any], request_id: str, status: int = 200
) -> Reply:
    """Send a JSON object.

    Args:
        dialect: Names the header of the request id.
        value: The object.
        request_id: Goes into that header.
        status: HTTP status.

    Returns:
        The reply.
    """
    body = orjson.dumps(value)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **_request_id(dialect, request_id),
    }
    return Reply(status, headers, (body,))


def _request_id(dialect: Dialect, request_id: str) -> Mapping[str, str]:
    name = dialect.request_id_header
    return {name: f"req_{request_id}"} if name else {}


@dataclass(slots=True)
class Traffic:
    """Counts of the requests of one sandbox.

    Attributes:
        requests: All that have arrived.
        open: Those being answered.
        aborted: Those whose client left before the end of the answer.
    """

    requests: int = 0
    open: int = 0
    aborted: int = 0


class PlayedResponse(Response):
    """Sends a reply step by step and stops as soon as the client leaves.

    Args:
        reply: What to send.
        traffic: Where to count.
    """

    def __init__(self, reply: Reply, traffic: Traffic) -> None:
        self._reply = reply
        self._traffic = traffic
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play the reply; see the ASGI specification, "HTTP & WebSocket"."""
        playing = asyncio.create_task(self._play(scope, send))
        gone = asyncio.create_task(_connection_gone(receive))
        self._traffic.open += 1
        try:
            await asyncio.wait({playing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
                # Also the end of an answer is reported as a disconnect. Waiting for it
                # after a HangUp keeps the server from taking the gap for a mistake.
                await gone
            else:
                self._traffic.aborted += 1
        finally:
            self._traffic.open -= 1
            await _cancel(playing, gone)

    async def _play(self, scope: Scope, send: Send) -> None:
        started = False
        transport: asyncio.Transport = scope["state"]["transport"]
        for step in _unrolled(self._reply.steps):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, HangUp):
                _hang_up(transport, abruptly=step.abruptly)
                return
            elif isinstance(step, Raw):
                transport.write(step.data)
            else:
                if not started:
                    await self._start(send)
                    started = True
                await send(
                    {"type": "http.response.body", "body": step, "more_body": True}
                )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        headers = self._reply.headers.items()
        await send(
            {
                "type": "http.response.start",
                "status": self._reply.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers],
            }
        )


def _unrolled(steps: Iterable[Step]) -> Iterator[bytes | Pause | HangUp | Raw]:
    for step in steps:
        if not isinstance(step, Endless):
            yield step
            continue
        while True:
            yield from step.steps
            # A client that reads fast, or has left, would never let the loop go on.
            yield Pause(0)


def _hang_up(transport: asyncio.Transport, *, abruptly: bool) -> None:
    if not abruptly:
        transport.close()
        return
    # Whoever closes without lingering resets: see SO_LINGER in socket(7).
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()


async def _connection_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

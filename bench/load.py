"""The closed-loop load generator: a raw protocol in a process of its own.

It reads one `Job` as JSON per line. When every connection has been served once it
prints `ready`, waits for a line, and prints an `Outcome` as JSON.
"""

import asyncio
import dataclasses
import json
import sys
import time
from dataclasses import dataclass, field

import uvloop

_GIVE_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """Requests to send and what makes an answer right.

    Attributes:
        port: Where to send them.
        request: The bytes of the request, as text.
        connections: How many requests are under way at any time.
        requests: How many to send in all.
        marker: Text that a right answer contains `marker_count` times.
        marker_count: That number.
        ending: Text that stands in the last event of a complete answer.
    """

    port: int
    request: str
    connections: int
    requests: int
    marker: str
    marker_count: int
    ending: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        seconds: From the first request to the last answer.
        p50_seconds: The median latency of right answers.
        p99_seconds: The latency that 99 in 100 right answers stay below.
        errors: Requests without a right answer, those of the warm-up included.
        example: What the first wrong answer looked like.
    """

    seconds: float
    p50_seconds: float
    p99_seconds: float
    errors: int
    example: str


@dataclass
class Tally:
    """What all connections of a job share."""

    job: Job
    remaining: int
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    example: str = ""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    def take(self) -> bool:
        """Takes one request from those that remain."""
        if not self.remaining:
            return False
        self.remaining -= 1
        self.under_way += 1
        return True

    def give_back(self) -> None:
        """Notes that one request has come to an end."""
        self.under_way -= 1
        if not self.remaining and not self.under_way:
            self.idle.set()

    def wrong(self, answer: bytearray) -> None:
        """Counts a wrong answer and keeps the first."""
        self.errors += 1
        self.example = self.example or answer[:500].decode("latin-1") or "no answer"


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._request = tally.job.request.encode()
        self._marker = tally.job.marker.encode()
        self._ending = tally.job.ending.encode()
        self._busy = False
        self._answer = bytearray()
        self._bytes: int | None = None

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Waits to be started."""
        self.transport = transport

    def start(self) -> None:
        """Sends a request, if there is one left."""
        self._busy = not self.transport.is_closing() and self._tally.take()
        if self._busy:
            self._answer = bytearray()
            self._bytes = None
            self._sent = time.perf_counter()
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collects the answer."""
        self._answer += data
        if self._is_complete():
            self._finish(self._is_right())

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts what was under way; the other connections do the rest."""
        if self._busy:
            self._finish(False)

    def _finish(self, right: bool) -> None:
        if right:
            self._tally.latencies.append(time.perf_counter() - self._sent)
        else:
            self._tally.wrong(self._answer)
        self._tally.give_back()
        self.start()

    def _is_complete(self) -> bool:
        # The bytes of the whole answer; 0 if it comes in chunks, None until that shows.
        if self._bytes is None:
            end = self._answer.find(b"\r\n\r\n")
            if end < 0:
                return False
            body_length = _content_length(bytes(self._answer[:end]))
            self._bytes = 0 if body_length is None else end + 4 + body_length
        if self._bytes:
            return len(self._answer) >= self._bytes
        return self._answer.endswith(b"\r\n0\r\n\r\n")

    def _is_right(self) -> bool:
        head, _, body = bytes(self._answer).partition(b"\r\n\r\n")
        if not self._bytes:
            body = _join_chunks(body)
        return (
            head.startswith(b"HTTP/1.1 200 ")
            and body.count(self._marker) == self._tally.job.marker_count
            and self._ending in body[body.rfind(b"\n\n", 0, -2) + 1 :]
        )


def _content_length(head: bytes) -> int | None:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else None


def _join_chunks(body: bytes) -> bytes:
    pieces: list[bytes] = []
    position = 0
    while True:
        start = body.index(b"\r\n", position) + 2
        size = int(body[position:start], 16)
        if not size:
            return b"".join(pieces)
        pieces.append(body[start : start + size])
        position = start + size + 2


async def _run(job: Job) -> Outcome:
    loop = asyncio.get_running_loop()
    tally = Tally(job, remaining=0)
    connections = []
    for _ in range(job.connections):
        _, connection = await loop.create_connection(
            lambda: Connection(tally), "127.0.0.1", job.port
        )
        connections.append(connection)
    await _exhaust(tally, connections, job.connections)
    tally.latencies.clear()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    await _exhaust(tally, connections, job.requests)
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.transport.abort()
    latencies = sorted(tally.latencies) or [0.0]
    return Outcome(
        seconds=seconds,
        p50_seconds=latencies[len(latencies) // 2],
        p99_seconds=latencies[len(latencies) * 99 // 100],
        errors=tally.errors,
        example=tally.example,
    )


async def _exhaust(tally: Tally, connections: list[Connection], requests: int) -> None:
    """Sends so many requests over the connections and waits for the last answer."""
    tally.remaining = requests
    tally.idle.clear()
    for connection in connections:
        connection.start()
    try:
        await asyncio.wait_for(tally.idle.wait(), _GIVE_UP_SECONDS)
    except TimeoutError:
        tally.errors += tally.remaining + tally.under_way
        tally.example = tally.example or "no answer in time"


def _main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        while line := sys.stdin.readline():
            outcome = runner.run(_run(Job(**json.loads(line))))
            print(json.dumps(dataclasses.asdict(outcome)), flush=True)


if __name__ == "__main__":
    _main()

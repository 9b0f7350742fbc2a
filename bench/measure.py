"""Child processes: the servers, what they use, and the load on them."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Self

import psutil

from bench.load import Job, Outcome

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_MEGABYTE = 1_000_000


class BenchError(Exception):
    """The benchmark could not run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a job, or the median of several.

    Attributes:
        cpu_us: User and system CPU of the server, microseconds per request.
        per_second: Requests per second.
        p50_ms: Median latency, milliseconds.
        p99_ms: 99th percentile of the latency, milliseconds.
        errors: Requests without a right answer, in all runs.
        example: What the first wrong answer looked like.
    """

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    example: str

    @classmethod
    def median(cls, samples: Sequence[Self]) -> Self:
        """Returns the median of every measure, and all errors."""
        return cls(
            cpu_us=median(sample.cpu_us for sample in samples),
            per_second=median(sample.per_second for sample in samples),
            p50_ms=median(sample.p50_ms for sample in samples),
            p99_ms=median(sample.p99_ms for sample in samples),
            errors=sum(sample.errors for sample in samples),
            example=next((s.example for s in samples if s.example), ""),
        )


class Server:
    """A server in a process of its own, which ends with the ``with`` block.

    Args:
        arguments: What Python runs.
        port: Where it will answer.
        environment: All of its environment; default: that of this process.
        folder: Its working directory; default: that of this process.
        cpu: 0 for a server under test, 1 for what shares the processor of the load.
        health: What answers with 200 once it has started.

    Attributes:
        pid: The process.
        start_seconds: From starting the process to the first answer on `health`.
        idle_mb: Resident memory before any load, in megabytes.
    """

    def __init__(  # noqa: PLR0913 - of a server one has to know that much
        self,
        arguments: Sequence[str],
        port: int,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
        cpu: int = 0,
        health: str = "/health",
    ) -> None:
        self.port = port
        self._health = health
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _stop
        self._command = [sys.executable, *arguments]
        started = time.perf_counter()
        self._popen = subprocess.Popen(
            self._command,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
        self.pid = self._popen.pid
        _pin(self.pid, cpu)
        self._process = psutil.Process(self.pid)
        try:
            self._wait_until_healthy()
        except BaseException:
            self._stop()
            raise
        self.start_seconds = time.perf_counter() - started
        self.idle_mb = self.memory_mb()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()

    def cpu_seconds(self) -> float:
        """Returns what the process and its children have used since they started."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """Returns the resident memory of the process and its children, in megabytes."""
        return sum(each.memory_info().rss for each in self._tree()) / _MEGABYTE

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._popen.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", self._health)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.01)
        self._output.seek(0)
        output = self._output.read()[-2000:].decode(errors="replace")
        raise BenchError(f"{' '.join(self._command)} did not start:\n{output}")

    def _stop(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._output.close()


class LoadGenerator:
    """`bench.load` in a process of its own, which ends with the ``with`` block."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _pin(self._popen.pid, cpu=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._popen:
            self._popen.kill()

    def run(self, job: Job, server: Server) -> Sample:
        """Puts a load on a server and measures what it uses meanwhile.

        Args:
            job: The load.
            server: What it falls on.

        Returns:
            The measures.

        Raises:
            BenchError: The load generator failed.
        """
        self._tell(json.dumps(asdict(job)))
        self._hear()
        before = server.cpu_seconds()
        self._tell("go")
        outcome = Outcome(**json.loads(self._hear()))
        cpu_seconds = server.cpu_seconds() - before
        return Sample(
            cpu_us=cpu_seconds / job.requests * 1e6,
            per_second=job.requests / outcome.seconds,
            p50_ms=outcome.p50_seconds * 1e3,
            p99_ms=outcome.p99_seconds * 1e3,
            errors=outcome.errors,
            example=outcome.example,
        )

    def _tell(self, line: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def _hear(self) -> str:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise BenchError("the load generator failed")
        return line


def _pin(pid: int, cpu: int) -> None:
    """Binds a process to one of two processors, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, {usable[cpu % len(usable)]})


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

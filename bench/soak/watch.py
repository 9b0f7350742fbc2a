"""What the service holds on to, seen from outside."""

import http.client
import re
from dataclasses import dataclass
from statistics import linear_regression

import psutil

_ACTIVE = re.compile(rb"^llm_active_requests ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the service.

    Attributes:
        requests: How many it had been sent.
        rss_kib: Resident memory.
        files: Open file descriptors.
        threads: Threads.
        upstream: Connections to the upstream.
        in_flight: Calls under way, by its own metrics.
    """

    requests: int
    rss_kib: int
    files: int
    threads: int
    upstream: int
    in_flight: int


class Watch:
    """Looks at the service.

    Args:
        pid: Its process.
        port: Where it listens.
        upstream_port: Where its upstream listens.
        token: The token for its metrics.
    """

    def __init__(self, pid: int, port: int, upstream_port: int, token: str) -> None:
        self._process = psutil.Process(pid)
        self._port = port
        self._upstream_port = upstream_port
        self._token = token

    def look(self, requests: int) -> Sample:
        """Returns what it holds.

        Args:
            requests: How many it has been sent.
        """
        in_flight = self._in_flight()
        connections = self._process.net_connections("tcp")
        return Sample(
            requests=requests,
            rss_kib=self._process.memory_info().rss // 1024,
            files=self._process.num_fds(),
            threads=self._process.num_threads(),
            upstream=sum(
                bool(each.raddr) and each.raddr.port == self._upstream_port
                for each in connections
            ),
            in_flight=in_flight,
        )

    def _in_flight(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            headers = {"authorization": f"Bearer {self._token}"}
            connection.request("GET", "/metrics", headers=headers)
            found = _ACTIVE.search(connection.getresponse().read())
        finally:
            connection.close()
        return int(float(found[1])) if found else -1


def slope(samples: list[Sample]) -> float:
    """Returns KiB of resident memory per 1000 requests, by least squares.

    Args:
        samples: At least two.
    """
    requests = [sample.requests / 1000 for sample in samples]
    sizes = [float(sample.rss_kib) for sample in samples]
    return linear_regression(requests, sizes).slope


def last_half(samples: list[Sample]) -> list[Sample]:
    """Returns the samples of the second half of the requests.

    Args:
        samples: All, in order.
    """
    middle = samples[-1].requests / 2
    return [sample for sample in samples if sample.requests >= middle]

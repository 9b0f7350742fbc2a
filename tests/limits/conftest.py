from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis as driver
from tests.redis_server import redis_server, redis_url

from llm_proxy.limits.shared import SharedCounters
from llm_proxy.storage.redis import Redis

__all__ = ["redis_server", "redis_url"]


@pytest.fixture
def operator(redis_url) -> Iterator[driver.Redis]:
    """The server as its operator sees it."""
    with driver.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def process(redis_url) -> AsyncIterator[Callable[..., SharedCounters]]:
    """Makes processes, with a connection to Redis each."""
    made = []

    def process(
        url: str = redis_url, timeout_seconds: float = 30.0, **options
    ) -> SharedCounters:
        redis = Redis(url, timeout_seconds=timeout_seconds)
        made.append((redis, SharedCounters(redis, **options)))
        return made[-1][1]

    yield process
    for redis, counters in made:
        await counters.aclose()
        await redis.aclose()


@pytest.fixture
def counters(process) -> SharedCounters:
    return process()

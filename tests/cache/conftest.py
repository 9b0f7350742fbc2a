from collections.abc import AsyncIterator, Callable

import pytest
from tests.redis_server import redis_server, redis_url

from llm_proxy.cache import MemoryStore, Store
from llm_proxy.cache.shared import SharedStore
from llm_proxy.storage.redis import Redis

__all__ = ["redis_server", "redis_url"]


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Redis]]:
    """Makes clients of Redis, and closes them after the test."""
    made = []

    def connect(url: str, timeout_seconds: float = 30.0) -> Redis:
        made.append(Redis(url, timeout_seconds=timeout_seconds))
        return made[-1]

    yield connect
    for each in made:
        await each.aclose()


@pytest.fixture(params=["memory", "redis"])
def store(request) -> Store:
    """An empty store, of every kind in turn."""
    if request.param == "memory":
        return MemoryStore(10_000_000)
    redis = request.getfixturevalue("connect")(request.getfixturevalue("redis_url"))
    return SharedStore(redis)

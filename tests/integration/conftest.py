"""Processes over a real Postgres and a real Redis."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.conftest import Child
from tests.databases import Postgres, postgres, run_alone
from tests.integration.company import Callers, Company
from tests.redis_server import RedisServer, redis_server

__all__ = ["postgres", "redis_server"]


@pytest.fixture(scope="session")
def found(
    postgres: Postgres,
    redis_server: RedisServer,
    tmp_path_factory,
) -> Iterator[Callable[..., Company]]:
    """Founds companies, each with an empty database; they end with the tests.

    One process is content with a file; several have Postgres and Redis.
    """
    # Redis has sixteen databases, of which tests may choose the first for themselves.
    numbers = iter(range(1, 16))
    children: list[Child] = []
    with ExitStack() as stack:

        def start(*arguments: str, **variables: str) -> Child:
            log = tmp_path_factory.mktemp("child") / "log"
            child = Child(log, *arguments, **variables)
            children.append(stack.enter_context(child))
            return child

        def found(processes: int, **variables: str) -> Company:
            folder = tmp_path_factory.mktemp("company")
            if processes == 1:
                place = {"DATABASE_URL": f"sqlite:///{folder}/company.db"}
            else:
                name = f"company_{uuid.uuid4().hex}"
                asyncio.run(run_alone(postgres.url, f"CREATE DATABASE {name}"))
                url = postgres.url.replace("/postgres?", f"/{name}?")
                redis_url = f"{redis_server.url}/{next(numbers)}"
                place = {"DATABASE_URL": url, "REDIS_URL": redis_url}
            return Company(start, folder, processes, **place | variables)

        yield found
        # They need not wait for each other.
        for child in children:
            child.process.terminate()


@pytest.fixture(scope="session")
def company(found) -> Company:
    """Four processes; whoever stops what they share brings it back."""
    return found(4)


@pytest.fixture
async def callers(company) -> AsyncIterator[Callers]:
    """Callers of the four processes."""
    async with company.callers() as callers:
        yield callers

"""A company: processes over one database and one Redis, their upstream, and callers."""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg
import httpx2
from tests.conftest import Child
from tests.live import CHAT, OPENAI, PATHS, RESPONSES, body_for

ROOT = Path(__file__).parents[2]
TOKEN = "test_token"  # pragma: allowlist secret
PEPPER = "4fXbkqzQ0sW7vJ2mYtR9uLpE6cHdN1oA"  # pragma: allowlist secret
# An answer is ten tokens long and costs ten millionths of a dollar, as the request says
# beforehand.
MODEL = "one/chunks-10"
ANSWER_TOKENS = 10
ANSWER_NANOS = 10_000
CONFIG = """
providers:
  one: {{api: openai, base_url: "{url}/v1", api_key: "${{UPSTREAM_KEY}}"}}
  claude: {{api: anthropic, base_url: "{url}/v1", api_key: "${{UPSTREAM_KEY}}"}}
prices:
  one/*: {{input: 0, output: 1}}
  claude/*: {{input: 0, output: 1}}
"""
ENDS = "event: done", "[DONE]", "event: message_stop", "event: response.completed"


def money_for(calls: int) -> dict[str, object]:
    """Writes an allowance of money for some calls."""
    nanos = calls * ANSWER_NANOS
    return {"budgets": {"total": f"{nanos // 10**9}.{nanos % 10**9:09}"}}


@dataclass(frozen=True)
class Told:
    """What a caller was told.

    Attributes:
        status: Of the response; 0 if there was none, or it broke off.
        text: All that has come.
        headers: Of the response.
    """

    status: int
    text: str
    headers: httpx2.Headers

    @property
    def is_answer(self) -> bool:
        """Whether it is a whole one, streamed or not."""
        if self.status != 200:
            return False
        if "event-stream" not in self.headers["content-type"]:
            return True
        return any(end in self.text for end in ENDS)


class Callers:
    """Programs that call the processes, in turn.

    Args:
        clients: One for each process.
        turns: Count the calls of all callers.
    """

    def __init__(
        self, clients: Sequence[httpx2.AsyncClient], turns: Iterator[int]
    ) -> None:
        self._clients = clients
        self._turns = turns

    async def key(self, **allowance: object) -> str:
        """Makes a key over the API and returns its secret."""
        secret, _ = await self.key_and_id(**allowance)
        return secret

    async def key_and_id(self, **allowance: object) -> tuple[str, str]:
        """Makes a key over the API and returns its secret and its id."""
        answer = await self._clients[0].post(
            "/api/v1/keys",
            json={"name": "test", "allowance": allowance},
            headers=_bearing(TOKEN),
        )
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        return data["secret"], data["id"]

    async def ask(self, key: str, *, stream: bool = False, **asked: object) -> Told:
        """Asks one of the processes: the next one, or a certain one."""
        client, path, body = self._question(stream=stream, **asked)
        try:
            answer = await client.post(path, json=body, headers=_bearing(key))
        except httpx2.TransportError:
            return Told(0, "", httpx2.Headers())
        return Told(answer.status_code, answer.text, answer.headers)

    async def burst(self, calls: int, key: str, **asked: object) -> Counter[int]:
        """Asks many times at once, on all surfaces; counts the statuses."""
        told = await asyncio.gather(
            *(self.ask(key, path=path, **asked) for path in PATHS * (calls // 4))
        )
        assert all(each.is_answer for each in told if each.status == 200)
        return Counter(each.status for each in told)

    async def hang_up(self, key: str, **asked: object) -> None:
        """Asks for a stream, and leaves once `The sandbox read:` has come."""
        client, path, body = self._question(stream=True, **asked)
        heard = b""
        async with client.stream("POST", path, json=body, headers=_bearing(key)) as it:
            async for part in it.aiter_raw():
                heard += part
                if b"read:" in heard:
                    break

    def _question(
        self,
        *,
        at: int | None = None,
        path: str = OPENAI,
        model: str = MODEL,
        **fields: object,
    ) -> tuple[httpx2.AsyncClient, str, dict[str, object]]:
        """Finds out whom to ask, and writes down what."""
        turn = next(self._turns)
        client = self._clients[(turn if at is None else at) % len(self._clients)]
        most = "max_output_tokens" if path == RESPONSES else "max_tokens"
        # Two questions are never the same unless they are meant to be.
        asked = {most: ANSWER_TOKENS, "prompt": f"Call {turn}"} | fields
        if path == CHAT:
            asked["provider"], _, model = model.partition("/")
        return client, path, body_for(path, model, **asked)


class Load:
    """Callers who ask again and again, until they are told to stop.

    Attributes:
        told: What they were told, oldest first.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._is_over = False

    @property
    def answers(self) -> int:
        """How many whole answers they have got."""
        return sum(each.is_answer for each in self.told)

    @property
    def statuses(self) -> Counter[int]:
        """What they were told, by status."""
        return Counter(each.status for each in self.told)

    async def keep_asking(self, ask: Callable[[], Awaitable[Told]]) -> None:
        """Asks until it is over."""
        while not self._is_over:
            self.told.append(await ask())
            await asyncio.sleep(0.002)

    async def until_answered(self, more: int) -> None:
        """Waits for some more answers."""
        enough = self.answers + more
        async with asyncio.timeout(30):
            while self.answers < enough:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Lets all callers finish their call, and no more."""
        self._is_over = True


async def until(found: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Waits until something is found as it is wanted, for 20 seconds at most."""
    for _ in range(400):
        if (last := await found()) == wanted:
            return
        await asyncio.sleep(0.05)
    assert last == wanted


@contextlib.asynccontextmanager
async def load(*asks: Callable[[], Awaitable[Told]]) -> AsyncIterator[Load]:
    """Runs a caller for each of these."""
    load = Load()
    tasks = [asyncio.create_task(load.keep_asking(ask)) for ask in asks]
    try:
        yield load
    finally:
        load.stop()
        await asyncio.gather(*tasks)


class Company:
    """The processes, and what they share.

    Args:
        start: Starts children.
        folder: For the configuration and the spool.
        processes: How many there are.
        variables: Where the database and Redis are, and other settings.

    Attributes:
        upstream: Whom all of them ask.
        services: The processes.
        spool: Where rows wait for the database.
        redis_url: Their part of Redis; empty if they have none.
    """

    def __init__(
        self,
        start: Callable[..., Child],
        folder: Path,
        processes: int,
        **variables: str,
    ) -> None:
        self._start = start
        self._turns = count()
        self.upstream = start(
            "tests.integration.metered_upstream", PYTHONPATH=str(ROOT)
        )
        config = folder / "company.yaml"
        config.write_text(CONFIG.format(url=self.upstream.url))
        self.spool = folder / "spool"
        self.redis_url = variables.get("REDIS_URL", "")
        self._variables = {
            "ENVIRONMENT": "testing",
            "API_TOKEN": TOKEN,
            "KEY_PEPPER": PEPPER,
            "LLM_PROVIDER": "sandbox",
            "UPSTREAM_KEY": "any",  # pragma: allowlist secret
            "PORT": "0",
            "RATE_LIMIT_ENABLED": "false",
            "CONFIG_FILE": str(config),
            "SPOOL_DIR": str(self.spool),
            "RETRY_MIN_SECONDS": "0.01",
            "RETRY_MAX_SECONDS": "0.02",
            "BREAKER_FAILURES": "0",
            **variables,
        }
        self.services: list[Child] = []
        self.serve(processes)

    def serve(self, processes: int) -> None:
        """Starts processes in the place of those before, all at once."""
        with ThreadPoolExecutor() as threads:
            starting = [
                threads.submit(self._start, "llm_proxy", "serve", **self._variables)
                for _ in range(processes)
            ]
            self.services = [each.result() for each in starting]

    def kill(self) -> None:
        """Ends the processes at once, without a word."""
        for each in self.services:
            each.process.kill()
        for each in self.services:
            each.process.wait(10)

    @contextlib.asynccontextmanager
    async def callers(self) -> AsyncIterator[Callers]:
        """Brings callers, who may be many."""
        limits = httpx2.Limits(max_connections=None)
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    httpx2.AsyncClient(base_url=each.url, limits=limits, timeout=60)
                )
                for each in self.services
            ]
            yield Callers(clients, self._turns)

    async def rows(self, statement: str, *values: object) -> list[tuple]:
        """What the database says; values are `$1` and so on."""
        url = self._variables["DATABASE_URL"]
        if url.startswith("sqlite"):
            named = {str(number): value for number, value in enumerate(values, 1)}
            file = sqlite3.connect(url.removeprefix("sqlite:///"))
            with contextlib.closing(file), file:
                return file.execute(statement, named).fetchall()
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    async def bill(self) -> dict[str, Counter[str]]:
        """What the upstream has made, by model."""
        async with httpx2.AsyncClient(base_url=self.upstream.url) as client:
            bill = json.loads((await client.get("/bill")).text)
        return {model: Counter(figures) for model, figures in bill.items()}

    async def made(self) -> int:
        """How many calls the upstream has seen."""
        return sum(each["requests"] for each in (await self.bill()).values())


def _bearing(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}

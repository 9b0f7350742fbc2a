"""The service in front of the sandbox, both over real sockets; and what callers hear.

Callers speak one of four dialects; `Heard` reads streams in all of them.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from llm_proxy.main import create_app
from llm_proxy.providers.loopback import SandboxServer

CHAT = "/chat"
OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"
RESPONSES = "/v1/responses"
PATHS = (CHAT, OPENAI, ANTHROPIC, RESPONSES)

# Upstreams of three vendors, all of them the sandbox.
PROVIDERS = """
providers:
  one: {api: openai, base_url: "{url}", api_key: "${UPSTREAM_KEY}"}
  two: {api: openai, base_url: "{url}", api_key: "${UPSTREAM_KEY}"}
  claude: {api: anthropic, base_url: "{url}", api_key: "${UPSTREAM_KEY}"}
"""
_ENDS = (
    b"event: done",
    b"[DONE]",
    b"event: message_stop",
    b"event: response.completed",
)


def body_for(path: str, model: str, prompt: str = "Hello", **fields: object) -> dict:
    """Writes a request for a stream."""
    if path == CHAT:
        body = {"provider": "llm-proxy", "prompt": prompt}
    elif path == RESPONSES:
        body = {"input": prompt}
    else:
        body = {"messages": [{"role": "user", "content": prompt}]}
        if path == ANTHROPIC:
            body["max_tokens"] = 500
    return {"model": model, "stream": True} | body | fields


@dataclass
class Heard:
    """A stream as its caller hears it.

    Attributes:
        status: The response's.
        headers: The response's.
        parts: What came from the network, each with when it came.
    """

    status: int
    headers: httpx2.Headers
    parts: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        return b"".join(part for _, part in self.parts)

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.raw.split(b"\n")
        data = [line[6:] for line in lines if line.startswith(b"data: ")]
        return [json.loads(each) for each in data if each != b"[DONE]"]

    @property
    def text(self) -> str:
        """What the answer says, in any dialect."""
        return "".join(map(_text_of, self.events))

    @property
    def is_whole(self) -> bool:
        """Whether the stream has a good end; one that has an error as well is a lie."""
        has_end = any(end in self.raw for end in _ENDS)
        assert not (has_end and self.error)
        return has_end

    @property
    def error(self) -> str:
        """The code of the error that has ended the stream, in any dialect's words."""
        last = self.events[-1] if self.events else {}
        response = last.get("response")
        within = response.get("error") if isinstance(response, dict) else None
        error = last.get("error") or within or {}
        return str(error.get("code") or error.get("type") or "")


def _text_of(event: dict[str, Any]) -> str:
    if isinstance(event.get("response"), str):
        # The last event of `/chat` repeats all of it.
        return "" if "meta" in event else event["response"]
    if event.get("type") == "response.output_text.delta":
        return event["delta"]
    if event.get("type") == "content_block_delta":
        return event["delta"].get("text", "")
    choices = event.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


class Live:
    """A service, its upstream, and a caller.

    Attributes:
        app: The service.
        sandbox: The upstream.
        client: The caller.
    """

    def __init__(
        self, app: FastAPI, sandbox: SandboxServer, client: httpx2.AsyncClient
    ) -> None:
        self.app = app
        self.sandbox = sandbox
        self.client = client

    @property
    def received(self) -> list[dict[str, Any]]:
        """The bodies of what the upstream was asked."""
        return [json.loads(each.body) for each in self.sandbox.app.state.requests]

    @property
    def asked(self) -> list[str]:
        """The models that the upstream was asked for."""
        return [body["model"] for body in self.received]

    async def hear(
        self,
        path: str,
        model: str,
        prompt: str = "Hello",
        headers: dict[str, str] | None = None,
        **fields: object,
    ) -> Heard:
        """Asks for a stream and listens to its end."""
        body = body_for(path, model, prompt, **fields)
        async with self.client.stream("POST", path, json=body, headers=headers) as it:
            heard = Heard(it.status_code, it.headers)
            async for part in it.aiter_raw():
                heard.parts.append((time.monotonic(), part))
        return heard

    async def ask(
        self, path: str, model: str, prompt: str = "Hello", **fields: object
    ) -> httpx2.Response:
        """Asks for an answer, a plain one unless `stream` is given."""
        body = body_for(path, model, prompt, **{"stream": False} | fields)
        return await self.client.post(path, json=body)

    async def hang_up(self, path: str, model: str, prompt: str = "Hello") -> None:
        """Asks for a stream and leaves after its first piece."""
        body = body_for(path, model, prompt)
        async with self.client.stream("POST", path, json=body) as answer:
            await anext(answer.aiter_raw())

    @asynccontextmanager
    async def with_key(self, **fields: object) -> AsyncIterator["Live"]:
        """The same with a caller who has a new key; needs a database."""
        answer = await self.client.post("/api/v1/keys", json={"name": "key"} | fields)
        assert answer.status_code == 201, answer.text
        headers = {"authorization": f"Bearer {answer.json()['data']['secret']}"}
        url = self.client.base_url
        async with httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=30
        ) as client:
            yield Live(self.app, self.sandbox, client)

    def rows(self, columns: str, table: str = "ledger") -> list[tuple]:
        """What stands in a table, oldest first."""
        file = self.app.state.books.database.file
        with closing(sqlite3.connect(file)) as connection:
            statement = f"SELECT {columns} FROM {table} ORDER BY at_ms"
            return connection.execute(statement).fetchall()

    async def until_idle(self) -> None:
        """Waits until the upstream is left alone, which is promised within 2 s."""
        await until(lambda: not self.sandbox.app.state.traffic.open)


async def until(is_so: Callable[[], bool]) -> None:
    """Waits until something is so, for five seconds at most."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def live(
    settings, folder: Path, models: str = "", **overrides: object
) -> AsyncIterator[Live]:
    """Runs a service whose llm-proxy.yaml has this; `{url}` is the upstream's."""
    sandbox = SandboxServer()
    url = await sandbox.start()
    file = folder / "live.yaml"
    file.write_text((PROVIDERS + models).replace("{url}", url))
    values = {
        "config_file": file,
        "upstream_key": "any",
        "sandbox_base_url": url,
        "sandbox_api_key": "any",
        "rate_limit_enabled": False,
        "retry_min_seconds": 0.01,
        "retry_max_seconds": 0.02,
        "breaker_failures": 0,
    }
    app = create_app(settings(**values | overrides))
    headers = {"authorization": "Bearer test_token"}
    try:
        async with (
            app.router.lifespan_context(app),
            _served(app) as address,
            httpx2.AsyncClient(base_url=address, headers=headers, timeout=30) as client,
        ):
            yield Live(app, sandbox, client)
    finally:
        await sandbox.close()


@asynccontextmanager
async def _served(app: FastAPI) -> AsyncIterator[str]:
    """Serves an application without the signals and logs of uvicorn's own server."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config, state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.wait_closed()

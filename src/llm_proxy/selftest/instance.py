"""The instance under test, as its callers reach it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from llm_proxy.selftest.reading import read_json
from llm_proxy.selftest.surface import Surface

PATIENCE_SECONDS = 10.0
"""When a call has taken too long: network and a busy machine included."""
_CONNECTIONS = 64
_MOST_BYTES = 2**20
_EVENT_END = b"\n\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: The HTTP status; 0 if there was none.
        headers: With names in lower case.
        body: What came of the body.
        seconds: Until the last of it.
        broken: Why it ended before its end; empty if it did not.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    broken: str = ""


class Instance:
    """Asks one instance; never raises for what it answers.

    Args:
        url: Where it is, without a path.
        token: One of its API tokens.
        is_own: Whether it runs for this test alone.
    """

    def __init__(self, url: str, token: str, is_own: bool = False) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.is_own = is_own
        self._client = httpx.AsyncClient(
            base_url=self.url,
            # The same is asked again and again, and each time for an upstream's answer.
            headers={"cache-control": "no-cache"},
            trust_env=False,
            timeout=None,  # noqa: S113 - every call has a bound of its own
            limits=httpx.Limits(max_connections=_CONNECTIONS),
        )

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port, and whether TLS is spoken there: for raw sockets."""
        parts = urlsplit(self.url)
        is_tls = parts.scheme == "https"
        return parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls

    async def ask(
        self,
        surface: Surface,
        model: str,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Put the question to a model of the sandbox.

        Args:
            surface: The way to ask.
            model: The model's name, without its provider.
            stream: Whether to ask for a stream.
            headers: In addition to those that say who asks.

        Returns:
            The reply.
        """
        return await self.request(
            "POST",
            surface.path,
            headers={**surface.headers(self.token), **(headers or {})},
            json=surface.body(model, stream),
        )

    async def request(self, method: str, path: str, **options: Any) -> Reply:  # noqa: ANN401 - httpx's
        """Send any request.

        Args:
            method: The HTTP method.
            path: Where to.
            **options: As for `httpx.AsyncClient.stream`.

        Returns:
            The reply.
        """
        begun, status, received = time.monotonic(), 0, _Kept()
        headers: Mapping[str, str] = {}
        broken = ""
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._client.stream(method, path, **options) as response,
            ):
                status, headers = response.status_code, response.headers
                async for part in response.aiter_bytes():
                    received.add(part)
        except TimeoutError:
            broken = f"it was not over after {PATIENCE_SECONDS:g} s"
        except httpx.TransportError as error:
            broken = f"the connection broke: {type(error).__name__}"
        seconds = time.monotonic() - begun
        return Reply(status, headers, received.body(), seconds, broken)

    async def trace_of(self, reply: Reply) -> object:
        """Ask how a reply has come about.

        Args:
            reply: It names its trace.

        Returns:
            The JSON of the answer; None if there is none.
        """
        trace = reply.headers.get("x-llm-proxy-trace", "")
        path = f"/api/v1/traces/{quote(trace, safe='')}"
        told = await self.request("GET", path, headers={"x-api-token": self.token})
        return read_json(told.body)

    async def leave(
        self, surface: Surface, model: str, *, stream: bool, after_bytes: int
    ) -> None:
        """Ask, and hang up.

        Args:
            surface: The way to ask.
            model: The model's name, without its provider.
            stream: Whether to ask for a stream.
            after_bytes: How much of the answer to wait for; without any, 0.2 s.
        """
        headers = surface.headers(self.token)
        body = surface.body(model, stream)
        received = 0
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS if after_bytes else 0.2),
                self._client.stream(
                    "POST", surface.path, headers=headers, json=body
                ) as response,
            ):
                async for part in response.aiter_raw():
                    received += len(part)
                    if received >= after_bytes > 0:
                        return
        except (TimeoutError, httpx.TransportError):
            return

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Kept:
    """Beginning and end of a body; a stream without end must not fill the memory."""

    def __init__(self) -> None:
        self._first = bytearray()
        self._last = bytearray()
        self._has_gap = False

    def add(self, part: bytes) -> None:
        if len(self._first) < _MOST_BYTES:
            self._first += part
            return
        self._last += part
        if len(self._last) > 2 * _MOST_BYTES:
            self._has_gap = True
            del self._last[:-_MOST_BYTES]

    def body(self) -> bytes:
        if not self._has_gap:
            return bytes(self._first + self._last)
        # Whole events on either side of the gap.
        first = self._first[: self._first.rfind(_EVENT_END) + len(_EVENT_END)]
        return bytes(first + self._last.partition(_EVENT_END)[2])

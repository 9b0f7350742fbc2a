"""Requests that no client should send: each gets a clean refusal, and soon."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_proxy.selftest.checks import find_secrets
from llm_proxy.selftest.instance import PATIENCE_SECONDS, Instance, Reply
from llm_proxy.selftest.reading import read_json
from llm_proxy.selftest.result import Result
from llm_proxy.selftest.surface import Surface
from llm_proxy.selftest.verdict import Verdict

SLOWEST_HEAD_SECONDS = 20.0
"""By then a client that does not finish its headers must have been sent away."""
_STATUS_LINE = b"HTTP/1.1 "


@dataclass(frozen=True, slots=True)
class Mistake:
    """A request that is wrong above HTTP.

    Attributes:
        name: What is wrong.
        statuses: What it may be answered with.
        change: Makes the wrong request's options of the right ones'.
    """

    name: str
    statuses: frozenset[int]
    change: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are wrong as HTTP.

    Attributes:
        name: What is wrong.
        head: What is sent; ``{host}`` and ``{token}`` are filled in.
        statuses: What it may be answered with; 0 is a connection that is closed.
        seconds: Until when it must be over.
        padding: How many bytes of header are put before the last line end.
    """

    name: str
    head: str
    statuses: frozenset[int] = field(default=frozenset({400}))
    seconds: float = PATIENCE_SECONDS
    padding: int = 0


def _spoil_body(options: dict[str, Any]) -> dict[str, Any]:
    headers = {**options["headers"], "content-type": "application/json"}
    return {"headers": headers, "content": b'{"model": "sandbox", '}


def _spoil_token(options: dict[str, Any]) -> dict[str, Any]:
    names = ("x-api-token", "authorization", "x-api-key")
    wrong: Mapping[str, str] = {
        name: "Bearer wrong" if name in names else value
        for name, value in options["headers"].items()
    }
    return {**options, "headers": wrong}


def _spoil_model(options: dict[str, Any]) -> dict[str, Any]:
    body = options["json"]
    name = body["model"].replace("sandbox/", "nobody/")
    known = {key: "nobody" for key in body if key == "provider"}
    return {**options, "json": body | {"model": name} | known}


MISTAKES = (
    Mistake("JSON that breaks off", frozenset({400}), _spoil_body),
    # 429: too many have guessed from this address before.
    Mistake("a wrong token", frozenset({401, 429}), _spoil_token),
    Mistake("an unknown model", frozenset({400, 404}), _spoil_model),
)
_POST = "POST /chat HTTP/1.1\r\nHost: {host}\r\nX-API-Token: {token}\r\n"
_GET = "GET /livez HTTP/1.1\r\nHost: {host}\r\n"
MALFORMED = (
    Malformed("no HTTP at all", "Good morning!\r\n\r\n", frozenset({0, 400})),
    Malformed(
        "a body of a terabyte",
        _POST + "Content-Type: application/json\r\nContent-Length: 1099511627776\r\n"
        "\r\n",
        frozenset({413}),
    ),
    Malformed(
        "Content-Length and Transfer-Encoding",
        _POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Malformed(
        "two lengths", _POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
    ),
    Malformed(
        "a flood of headers",
        _GET + "{padding}\r\n",
        frozenset({0, 400, 413, 431}),
        padding=2**20,
    ),
    Malformed(
        "headers that do not end",
        _GET,
        frozenset({0, 400, 408}),
        seconds=SLOWEST_HEAD_SECONDS,
    ),
)


async def try_mistake(instance: Instance, surface: Surface, mistake: Mistake) -> Result:
    """Send a request that is wrong above HTTP.

    Args:
        instance: Whom to ask.
        surface: The way to ask.
        mistake: What is wrong.

    Returns:
        The result.
    """
    options = mistake.change(
        {
            "headers": surface.headers(instance.token),
            "json": surface.body("sandbox", False),
        }
    )
    reply = await instance.request("POST", surface.path, **options)
    complaints = judge_mistake(surface, mistake, reply, instance.token)
    name = f"{mistake.name}, at {surface.name}"
    return Result(name, Verdict(tuple(complaints)), reply.seconds)


def judge_mistake(
    surface: Surface, mistake: Mistake, reply: Reply, secret: str
) -> list[str]:
    """Hold the answer to a wrong request against the promises.

    Args:
        surface: How it was asked.
        mistake: What was wrong.
        reply: What came back.
        secret: The token that was sent.

    Returns:
        Complaints.
    """
    if reply.broken:
        return [reply.broken]
    complaints = find_secrets(reply, secret)
    if reply.status not in mistake.statuses:
        complaints.append(f"status {reply.status}, not {sorted(mistake.statuses)}")
    if surface.read_error(read_json(reply.body)) is None:
        complaints.append("the error is not in the surface's envelope")
    return complaints


async def try_malformed(instance: Instance, malformed: Malformed) -> Result:
    """Send bytes that are wrong as HTTP.

    Args:
        instance: Whom to ask.
        malformed: What is wrong.

    Returns:
        The result.
    """
    begun = time.monotonic()
    complaints: list[str] = []
    try:
        async with asyncio.timeout(malformed.seconds):
            status = await _send(instance, malformed)
    except TimeoutError:
        complaints.append(f"it was not over after {malformed.seconds:g} s")
    else:
        if status not in malformed.statuses:
            complaints.append(f"status {status}, not {sorted(malformed.statuses)}")
    seconds = time.monotonic() - begun
    return Result(malformed.name, Verdict(tuple(complaints)), seconds)


async def _send(instance: Instance, malformed: Malformed) -> int:
    """Send the bytes and return the status of the answer; 0 if there is none."""
    host, port, is_tls = instance.address
    context = ssl.create_default_context() if is_tls else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    head = malformed.head.format(
        host=host, token=instance.token, padding=_pad(malformed.padding)
    )
    try:
        writer.write(head.encode("ascii"))
        line = await reader.readline()
    except ConnectionError:
        line = b""
    finally:
        writer.close()
    status = line.removeprefix(_STATUS_LINE)[:3]
    return int(status) if line.startswith(_STATUS_LINE) and status.isdigit() else 0


def _pad(size: int) -> str:
    line = f"X-Padding: {'0' * 1000}\r\n"
    return line * (size // len(line))

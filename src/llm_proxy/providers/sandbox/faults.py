"""Models that never give a complete answer: one row per fault of an upstream."""

import time
from collections.abc import Iterable
from dataclasses import replace
from email.utils import formatdate

from llm_proxy.providers.sandbox.behaviour import (
    Exchange,
    Model,
    altered,
    failing,
    gzipped,
    scripted,
    spoken,
    stuffed,
    well_behaved,
    with_headers,
)
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.reply import HangUp, Pause, Reply, Step

_FOREVER = Pause(86_400)
_OVERLOADED = Problem(529, "Overloaded")
_TOO_MANY = failing(Problem(429, "Rate limit reached for requests per minute."))
_PAGE = b"<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>\n"
_STATUSES = {
    400: "The request is not valid.",
    401: "Incorrect API key provided.",
    403: "This key may not do that.",
    404: "There is no such resource.",
    408: "The request took too long.",
    409: "The request conflicts with another one.",
    413: "The request is too large.",
    422: "The request cannot be processed.",
    500: "The server had an error while processing your request.",
    502: "Bad gateway.",
    503: "The engine is currently overloaded.",
    504: "Gateway timeout.",
    529: _OVERLOADED.message,
}


def _http_date(seconds: int) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


def _half(parts: list[bytes]) -> list[bytes]:
    return parts[: len(parts) // 2]


def _fail_midway(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    return *_half(parts), exchange.error_event(_OVERLOADED)


def _malform(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    half = _half(parts)
    if not exchange.question.stream:
        return half
    broken = exchange.dialect.framing.broken_event
    return *half, broken, *parts[len(half) :]


def _error_with_200(exchange: Exchange) -> Reply:
    return replace(exchange.problem(_OVERLOADED), status=200)


def _page(_: Exchange) -> Reply:
    return Reply(200, {"content-type": "text/html; charset=utf-8"}, (_PAGE,))


def _redirect(_: Exchange) -> Reply:
    return Reply(302, {"location": "/v1/redirected", "content-length": "0"}, (b"",))


def _mebibytes(number: int) -> Iterable[bytes]:
    return [b"0" * 2**20] * number


FAULTS: dict[str, Model] = {
    **{
        f"fault-{status}": Model(
            f"Status {status}, in the vendor's error body",
            failing(Problem(status, message)),
        )
        for status, message in _STATUSES.items()
    },
    "fault-400-context-length": Model(
        "The prompt is longer than the model can read",
        lambda exchange: exchange.problem(exchange.dialect.prompt_too_long),
    ),
    "fault-no-credit": Model(
        "The account has run out of money: 429 from OpenAI, 402 from Anthropic",
        lambda exchange: exchange.problem(exchange.dialect.no_credit),
    ),
    "fault-429": Model("Status 429 without advice when to try again", _TOO_MANY),
    "fault-429-retry-after": Model(
        "Status 429 with `Retry-After: N` (seconds)",
        with_headers(_TOO_MANY, lambda number: {"retry-after": str(number)}),
        1,
    ),
    "fault-429-retry-after-date": Model(
        "Status 429 with `Retry-After`: the date N seconds from now",
        with_headers(_TOO_MANY, lambda number: {"retry-after": _http_date(number)}),
        1,
    ),
    "fault-429-retry-after-ms": Model(
        "Status 429 with `retry-after-ms: N`",
        with_headers(_TOO_MANY, lambda number: {"retry-after-ms": str(number)}),
        100,
    ),
    "fault-429-retry-after-absurd": Model(
        "Status 429 with `Retry-After: 1e20`",
        with_headers(_TOO_MANY, lambda _: {"retry-after": "1e20"}),
    ),
    "fault-no-response": Model(
        "Closes the connection instead of answering",
        scripted(lambda *_: [HangUp()]),
    ),
    "fault-hang": Model(
        "Sends nothing, not even headers", scripted(lambda *_: [_FOREVER])
    ),
    "fault-stalled": Model(
        "Falls silent in the middle",
        scripted(lambda _, parts: [*_half(parts), _FOREVER]),
    ),
    "fault-cut": Model(
        "Closes the connection in the middle",
        scripted(lambda _, parts: [*_half(parts), HangUp()]),
    ),
    "fault-no-finish": Model(
        "Ends in good order without saying why: no finish reason, no `[DONE]`",
        altered(lambda answer: replace(answer, ending=None)),
    ),
    "fault-malformed": Model(
        "JSON that breaks off; in a stream, one event among good ones",
        scripted(_malform),
    ),
    "fault-first-event-error": Model(
        "Status 200 and an error as the first event",
        scripted(lambda exchange, _: [exchange.error_event(_OVERLOADED)]),
        streams_only=True,
    ),
    "fault-mid-stream-error": Model(
        "An error event in the middle", scripted(_fail_midway), streams_only=True
    ),
    "fault-200-error": Model("Status 200 and an error body", _error_with_200),
    "fault-null-content": Model(
        "No content: `null`, or no content block",
        spoken(lambda answer: replace(answer, pieces=None, thinking=None)),
    ),
    "fault-empty-content": Model(
        "Empty content", spoken(lambda answer: replace(answer, pieces=()))
    ),
    "fault-content-filter": Model(
        "A content filter has left nothing of the answer",
        spoken(lambda answer: replace(answer, pieces=(), ending="content_filter")),
    ),
    "fault-html": Model("Status 200 and a page for people", _page),
    "fault-content-type": Model(
        "The answer, called `text/plain`",
        with_headers(well_behaved, lambda _: {"content-type": "text/plain"}),
    ),
    "fault-empty-body": Model("Status 200 and no body", scripted(lambda *_: [b""])),
    "fault-invalid-utf8": Model(
        "Bytes in the text that are not UTF-8", stuffed(lambda _: [b"\xff\xfe"])
    ),
    "fault-huge": Model(
        "A text of N MiB; in a stream, on one line", stuffed(_mebibytes), 64
    ),
    "fault-gzip-bomb": Model(
        "A text of N MiB, compressed to a thousandth",
        gzipped(stuffed(_mebibytes)),
        64,
    ),
    "fault-redirect": Model("Status 302 to `/v1/redirected`", _redirect),
}

"""Models that answer with an error, or with the address of somebody else."""

import time
from dataclasses import replace
from email.utils import formatdate

from llm_proxy.providers.sandbox.behaviour import (
    Behaviour,
    Exchange,
    Model,
    failing,
    with_headers,
)
from llm_proxy.providers.sandbox.dialect import (
    OVERLOADED,
    TOO_MANY,
    UNAVAILABLE,
    Problem,
)
from llm_proxy.providers.sandbox.reply import Reply

_TOO_MANY = failing(TOO_MANY)
_SPEND_LIMIT = Problem(
    429,
    "You have reached your specified API usage limits.",
    code="enforced_spend_limit_reached",
)
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
    503: UNAVAILABLE.message,
    504: "Gateway timeout.",
    529: OVERLOADED.message,
}
# What stands in `Retry-After` where it is neither seconds nor a date to come.
_ADVICE = {
    "absurd": "1e20",
    "negative": "-5",
    "fractional": "0.5",
    "rubbish": "soon",
    "past": "Sun, 06 Nov 1994 08:49:37 GMT",
}


def _http_date(seconds: int) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


def _retry_after(fail: Behaviour) -> Behaviour:
    return with_headers(fail, lambda number: {"retry-after": str(number)})


def _advising(advice: str) -> Behaviour:
    return with_headers(_TOO_MANY, lambda _: {"retry-after": advice})


def _error_with_200(exchange: Exchange) -> Reply:
    return replace(exchange.problem(OVERLOADED), status=200)


def _page(status: int) -> Behaviour:
    headers = {"content-type": "text/html; charset=utf-8"}
    return lambda _: Reply(status, headers, (_PAGE,))


def _redirect(status: int, location: str) -> Behaviour:
    headers = {"location": location, "content-length": "0"}
    return lambda _: Reply(status, headers, (b"",))


REFUSALS: dict[str, Model] = {
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
    "fault-spend-limit": Model(
        "Status 429 with the code `enforced_spend_limit_reached`",
        failing(_SPEND_LIMIT),
    ),
    "fault-429": Model("Status 429 without advice when to try again", _TOO_MANY),
    "fault-429-retry-after": Model(
        "Status 429 with `Retry-After: N` (seconds)", _retry_after(_TOO_MANY), 1
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
    **{
        f"fault-429-retry-after-{kind}": Model(
            f"Status 429 with `Retry-After: {advice}`",
            _advising(advice),
        )
        for kind, advice in _ADVICE.items()
    },
    "fault-503-retry-after": Model(
        "Status 503 with `Retry-After: N`",
        _retry_after(failing(UNAVAILABLE)),
        1,
    ),
    "fault-529-retry-after": Model(
        "Status 529 with `Retry-After: N`", _retry_after(failing(OVERLOADED)), 1
    ),
    "fault-200-error": Model("Status 200 and an error body", _error_with_200),
    "fault-html": Model("Status 200 and a page for people", _page(200)),
    "fault-502-html": Model("Status 502 and a page for people", _page(502)),
    "fault-redirect": Model(
        "Status 302 to `/v1/redirected`", _redirect(302, "/v1/redirected")
    ),
    **{
        f"fault-redirect-{status}": Model(
            f"Status {status} to `/v1/redirected`", _redirect(status, "/v1/redirected")
        )
        for status in (301, 307, 308)
    },
    "fault-redirect-elsewhere": Model(
        "Status 307 to another host",
        _redirect(307, "http://sandbox.invalid/v1/redirected"),
    ),
}
"""Models by name, without the number."""

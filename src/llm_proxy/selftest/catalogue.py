"""What must be true of every fault: one row per model of the sandbox.

Source: FIELD.md, 5, and the table of errors in docs/api.md.
"""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that callers may be told.

    Attributes:
        code: Its name on the native surface.
        status: The HTTP status.
        v1_status: The status on `/v1`, where vendors use another.
    """

    code: str
    status: int = 502
    v1_status: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether SDKs are told not to ask again: we have done it already."""
        return self.code.startswith("LLM_") and self.status >= 500


UNREACHABLE = Failure("LLM_CONNECTION_ERROR")
LOST = Failure("LLM_CONNECTION_LOST")
UNAVAILABLE = Failure("LLM_UNAVAILABLE")
LIMITED = Failure("LLM_RATE_LIMITED", 502, 429)
CREDENTIALS = Failure("LLM_CREDENTIALS_REJECTED")
QUOTA = Failure("LLM_QUOTA_EXHAUSTED")
BAD_RESPONSE = Failure("LLM_BAD_RESPONSE")
BROKEN = Failure("LLM_STREAM_BROKEN")
FILTERED = Failure("LLM_CONTENT_FILTERED", 502, 400)
SILENT = Failure("LLM_TIMEOUT", 504)
REJECTED = Failure("LLM_REQUEST_REJECTED", 400)
TOO_LONG = Failure("PROMPT_TOO_LONG", 400)
NO_MODEL = Failure("UNSUPPORTED_MODEL", 400, 404)

COOLING_DOWN = Failure("LLM_COOLING_DOWN", 503)
"""May be told in place of any other: the breaker has opened."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What must be true where an upstream misbehaves in one way.

    Attributes:
        model: The sandbox's name for it.
        failures: What callers may be told; empty where they must get an answer.
        attempts: The most attempts at one deployment for one call.
        begins: Whether a stream may have begun to answer before it dies.
        asked: For which answers it is tried.
        reroutes: Whether a fallback is asked; ``perhaps`` is for what only the
            deadline of the whole call ends, and for what depends on the fallback.
        waits: Whether it takes the instance's time-outs to notice.
        has_advice: Whether callers must be told when to come again.
        comes_late: Whether it may show after the reason why the answer ended.
        passes: Whether `/v1` may pass it on: a vendor's program has to know it.
        deadline_seconds: What ``x-request-timeout`` allows the instance.
        recovers: Whether the deployment answers if it is asked again, as long as its
            breaker is closed.
    """

    model: str
    failures: tuple[Failure, ...]
    attempts: int = 3
    begins: bool = False
    asked: Literal["both", "plain", "stream"] = "both"
    reroutes: Literal["always", "perhaps", "never"] = "always"
    waits: bool = False
    has_advice: bool = False
    comes_late: bool = False
    passes: bool = False
    recovers: bool = False
    deadline_seconds: float = 5.0


def _rows(names: str, like: Fault) -> tuple[Fault, ...]:
    return tuple(replace(like, model=name) for name in names.split())


_TRANSIENT = Fault("", (UNAVAILABLE,))
_LIMITED = Fault("", (LIMITED,))
_MISTAKE = Fault("", (REJECTED,), attempts=1, reroutes="never")
_REFUSED = Fault("", (CREDENTIALS,), attempts=1)
_NO_ANSWER = Fault("", (BAD_RESPONSE,))
_SILENT = Fault("", (SILENT,), waits=True)
# What ends a plain answer, or a stream in its middle.
_CUT = Fault("", (BROKEN, BAD_RESPONSE, LOST), begins=True)
# No JSON, or none that means anything: found in plain bodies and in streams.
_HOSTILE = Fault("", (BAD_RESPONSE, BROKEN), begins=True)
_SOUND = Fault("", ())

ODDITIES: tuple[Fault, ...] = (
    # Two rows, because a deployment that fails half of the time is soon left alone.
    Fault("flaky-2", (UNAVAILABLE,), asked="plain", recovers=True),
    Fault("flaky-1", (UNAVAILABLE,), asked="stream", recovers=True),
    Fault("once-429-1", (LIMITED,), recovers=True),
    *_rows(
        "slow-first-token-500 slow-stream-100 chunks-100 missing-usage negative-usage"
        " huge-usage float-usage text-usage boolean-usage split-bytes duplicate-keys"
        " nul unasked-response",
        _SOUND,
    ),
    *_rows("no-done noisy-stream unasked-usage", replace(_SOUND, asked="stream")),
)
"""What is no fault, or passes: tried first, while there is a budget for retries."""

FAULTS: tuple[Fault, ...] = (
    *_rows("fault-refused fault-dns fault-tls", Fault("", (UNREACHABLE,))),
    Fault("fault-connect-hang", (UNREACHABLE, SILENT), waits=True),
    *_rows("fault-no-response fault-reset", Fault("", (LOST,))),
    *_rows("fault-hang fault-hang-after-headers", _SILENT),
    Fault("fault-stalled", (SILENT,), begins=True, waits=True),
    *_rows(
        "fault-drip-100 fault-endless",
        Fault(
            "",
            (SILENT, BAD_RESPONSE, BROKEN),
            begins=True,
            reroutes="perhaps",
            deadline_seconds=2.0,
        ),
    ),
    *_rows("fault-cut fault-reset-midway fault-truncated fault-bad-chunk", _CUT),
    *_rows("fault-400 fault-422", _MISTAKE),
    *_rows(
        "fault-413 fault-400-context-length",
        Fault("", (TOO_LONG,), attempts=1, reroutes="perhaps"),
    ),
    # Some vendors say so of an address, some of a model.
    Fault("fault-404", (BAD_RESPONSE, NO_MODEL), attempts=1, reroutes="perhaps"),
    *_rows(
        "fault-408 fault-409 fault-500 fault-502 fault-503 fault-504 fault-529"
        " fault-502-html fault-huge-error-16",
        _TRANSIENT,
    ),
    *_rows(
        "fault-503-retry-after-1 fault-529-retry-after-1",
        replace(_TRANSIENT, has_advice=True),
    ),
    *_rows(
        "fault-429 fault-429-retry-after-negative fault-429-retry-after-rubbish",
        _LIMITED,
    ),
    *_rows(
        "fault-429-retry-after-1 fault-429-retry-after-date-1"
        " fault-429-retry-after-ms-100 fault-429-retry-after-absurd"
        " fault-429-retry-after-fractional fault-429-retry-after-past",
        replace(_LIMITED, has_advice=True),
    ),
    Fault("fault-200-error", (UNAVAILABLE,)),
    Fault("fault-first-event-error", (UNAVAILABLE,), asked="stream"),
    Fault("fault-first-event-429", (LIMITED,), asked="stream"),
    Fault("fault-mid-stream-error", (UNAVAILABLE,), begins=True, asked="stream"),
    # A plain answer is whole if its JSON is.
    *_rows(
        "fault-no-finish fault-done-without-finish fault-bad-piece",
        replace(_CUT, asked="stream"),
    ),
    *_rows(
        "fault-html fault-content-type fault-redirect fault-redirect-301"
        " fault-redirect-307 fault-redirect-308 fault-redirect-elsewhere"
        " fault-gzip-bomb-64 fault-deflate-bomb-64 fault-zstd-bomb-64 fault-bad-gzip"
        " gzip",
        _NO_ANSWER,
    ),
    Fault("fault-huge-headers-4", (BAD_RESPONSE, LOST)),
    *_rows(
        "fault-malformed fault-empty-body fault-invalid-utf8 fault-nan fault-infinity"
        " fault-exponent fault-digits fault-deep fault-wrong-type"
        " fault-lone-surrogate fault-raw-nul fault-json-null fault-json-list"
        " fault-json-object fault-no-choices fault-huge-64 fault-huge-line-16",
        _HOSTILE,
    ),
    Fault("fault-nan-usage", _HOSTILE.failures, begins=True, comes_late=True),
    *_rows("fault-null-content fault-empty-content", replace(_HOSTILE, passes=True)),
    Fault(
        "fault-content-filter", (FILTERED,), attempts=1, reroutes="never", passes=True
    ),
)
"""What keeps an answer from coming, or from being whole."""

CREDENTIAL_FAULTS: tuple[Fault, ...] = (
    *_rows("fault-401 fault-403", _REFUSED),
    *_rows("fault-no-credit fault-spend-limit", replace(_REFUSED, failures=(QUOTA,))),
)
"""What may cost the whole provider a cool-down: tried last, one after the other."""

PASSED_OVER = frozenset(
    {
        "sandbox",
        "flapping-60",
        "refusal",
        "length",
        "content-filter",
        "tool-calls",
        "parallel-tools",
        "reasoning",
        "redacted-thinking",
        "echo-request",
        "lenient",
    }
)
"""Models that answer in good order, or as the clock says."""

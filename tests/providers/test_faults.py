"""Which of our errors an upstream's failure is, from status, body and headers."""

import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.errors import (
    APIError,
    LLMAPIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
    RequestRejectedError,
    UnsupportedModelError,
)
from llm_proxy.providers.faults import from_status, from_transport, read_retry_after
from llm_proxy.wire import ErrorDetail, OpenAIChat

NOTHING = ErrorDetail(None, "", "")


class TestStatus:
    @pytest.mark.parametrize(
        ("statuses", "kind"),
        [
            ((400, 422), RequestRejectedError),
            ((413,), PromptTooLongError),
            ((401, 403), LLMCredentialsError),
            ((402,), LLMQuotaExhaustedError),
            ((429,), LLMRateLimitedError),
            ((408, 409, 500, 502, 503, 504, 520, 529, 599), LLMUnavailableError),
            ((201, 204, 301, 302, 307, 308, 404, 405, 410, 451), LLMBadResponseError),
        ],
    )
    def test_it_decides_where_the_body_says_nothing(self, statuses, kind):
        found = {status: type(from_status(status, NOTHING, "p")) for status in statuses}
        assert found == dict.fromkeys(statuses, kind)

    @given(st.integers(100, 999), st.text(), st.text())
    def test_anything_else_is_one_of_our_errors_too(self, status, code, message):
        error = from_status(status, ErrorDetail(None, code, message), "p")

        assert isinstance(error, APIError)
        assert error.status in (400, 502)


class TestBody:
    @pytest.mark.parametrize(
        ("status", "code", "message", "kind"),
        [
            # OpenAI
            (
                400,
                "invalid_request_error context_length_exceeded",
                "",
                PromptTooLongError,
            ),
            (429, "insufficient_quota insufficient_quota", "", LLMQuotaExhaustedError),
            (429, "requests rate_limit_exceeded", "", LLMRateLimitedError),
            (404, "invalid_request_error model_not_found", "", UnsupportedModelError),
            (
                404,
                "invalid_request_error",
                "The model `gpt-9` does not exist",
                UnsupportedModelError,
            ),
            (
                404,
                "invalid_request_error",
                "Invalid URL (POST /v1)",
                LLMBadResponseError,
            ),
            (400, "billing_hard_limit_reached", "", LLMQuotaExhaustedError),
            # Anthropic
            (
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
                PromptTooLongError,
            ),
            (404, "not_found_error", "model: claude-9", UnsupportedModelError),
            (402, "billing_error", "", LLMQuotaExhaustedError),
            (
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
                LLMQuotaExhaustedError,
            ),
            (529, "overloaded_error", "Overloaded", LLMUnavailableError),
            # Those who speak OpenAI's dialect with words of their own
            (
                400,
                "",
                "This model's maximum context length is 8192 tokens.",
                PromptTooLongError,
            ),
            (400, "exceed_context_size_error", "", PromptTooLongError),
            (400, "", "Too many input tokens", PromptTooLongError),
            (400, "", "Incorrect API key provided: sk***.", LLMCredentialsError),
            (400, "", "API key not valid.", LLMCredentialsError),
            (400, "", "Why is an API key not valid?", RequestRejectedError),
        ],
    )
    def test_the_vendors_words_tell_more(self, status, code, message, kind):
        error = from_status(status, ErrorDetail(None, code, message), "p")
        assert type(error) is kind

    def test_nothing_of_the_message_is_passed_on(self):
        detail = ErrorDetail(None, "code", "MARKER")
        for status in (400, 401, 404, 429, 500):
            error = from_status(status, detail, "p")
            assert "MARKER" not in f"{error} {vars(error)}"

    @pytest.mark.parametrize(
        "kind", ["what you said: MARKER", "MARKER", "x" * 50, "a\r\nb", 7, None]
    )
    def test_operators_read_status_and_code_but_no_words(self, kind):
        body = json.dumps({"error": {"type": kind, "code": "overloaded"}}).encode()
        error = from_status(503, OpenAIChat().decode_error(body), "p")

        assert error.log_detail == "status=503 code=overloaded"
        assert (error.provider, error.upstream_status) == ("p", 503)

    def test_operators_see_whose_answer_was_the_callers_mistake(self):
        error = from_status(422, ErrorDetail(None, "bad", ""), "p")
        assert error.log_detail == "provider=p status=422 code=bad"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (httpx.ConnectError, LLMConnectionError),
        (httpx.ConnectTimeout, LLMConnectionError),
        (httpx.ReadTimeout, LLMTimeoutError),
        (httpx.WriteTimeout, LLMTimeoutError),
        (httpx.PoolTimeout, LLMTimeoutError),
        (httpx.ReadError, LLMConnectionLostError),
        (httpx.WriteError, LLMConnectionLostError),
        (httpx.RemoteProtocolError, LLMConnectionLostError),
        (httpx.UnsupportedProtocol, LLMBadResponseError),
    ],
)
def test_errors_of_the_transport_are_kept_apart(theirs, ours):
    error = from_transport(theirs("MARKER"), "p")

    assert type(error) is ours
    assert error.provider == "p"
    assert error.log_detail == theirs.__name__


@pytest.mark.parametrize(
    ("kind", "transient"),
    [
        (LLMConnectionError, True),
        (LLMConnectionLostError, True),
        (LLMUnavailableError, True),
        (LLMRateLimitedError, True),
        (LLMTimeoutError, False),
        (LLMCredentialsError, False),
        (LLMQuotaExhaustedError, False),
        (LLMBadResponseError, False),
    ],
)
def test_only_what_may_pass_is_transient(kind: type[LLMAPIError], transient):
    assert kind.transient is transient


def test_an_operator_can_tell_them_apart():
    kinds = [
        LLMConnectionError,
        LLMConnectionLostError,
        LLMTimeoutError,
        LLMCredentialsError,
        LLMQuotaExhaustedError,
        LLMRateLimitedError,
        LLMUnavailableError,
        LLMBadResponseError,
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)


def after(seconds: float, tz=UTC) -> str:
    return format_datetime(datetime.now(tz) + timedelta(seconds=seconds))


class TestRetryAfter:
    def read(self, **headers: str) -> float | None:
        return read_retry_after(
            httpx.Headers({k.replace("_", "-"): v for k, v in headers.items()})
        )

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            (" 7 ", 7),
            ("1.5", 1.5),
            ("1e20", 60),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("-inf", None),
            ("1e999", None),
            ("", None),
            ("soon", None),
            ("7 seconds", None),
            ("Mon, 99 Foo 2026 99:99:99 GMT", None),
            ("Fri, 01 Jan 99999 00:00:00 GMT", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00", 0),
            ("Thu, 01 Jan 1970 00:00:00 +2400", None),
        ],
    )
    def test_numbers_dates_and_nonsense(self, value, seconds):
        assert self.read(retry_after=value) == seconds

    @pytest.mark.parametrize("tz", [UTC, timezone(timedelta(hours=-5))])
    def test_a_date_to_come_is_that_far_away(self, tz):
        assert 3500 < self.read(retry_after=after(3600, tz)) <= 3600

    def test_milliseconds_go_before_seconds(self):
        assert self.read(retry_after_ms="250", retry_after="9") == 0.25

    @pytest.mark.parametrize(
        "nonsense", ["", "-1", "nan", "later", "Fri, 01 Jan 2100 00:00:00 GMT"]
    )
    def test_nonsense_for_milliseconds_leaves_the_seconds(self, nonsense):
        assert self.read(retry_after_ms=nonsense, retry_after="9") == 9

    def test_silence_is_no_advice(self):
        assert self.read() is None

    def test_advice_comes_with_the_error(self):
        headers = httpx.Headers({"retry-after": "3"})
        for status in (429, 503, 529):
            error = from_status(status, NOTHING, "p", headers)
            assert error.retry_after_seconds == 3

    @given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ .*"))
    def test_no_text_raises_or_gives_anything_but_seconds(self, text):
        headers = httpx.Headers([(b"retry-after", text.encode())], encoding="utf-8")
        seconds = read_retry_after(headers)
        assert seconds is None or 0 <= seconds <= 3600

    @given(st.floats() | st.integers())
    def test_no_number_does_either(self, number):
        for name in ("retry-after", "retry-after-ms"):
            seconds = read_retry_after(httpx.Headers({name: str(number)}))
            assert seconds is None or 0 <= seconds <= 3600

    @given(st.dates(), st.times(), st.integers(-9999, 9999))
    def test_no_date_does_either(self, date, time, zone):
        value = f"{date:%a, %d %b} {date.year} {time:%H:%M:%S} {zone:+05d}"
        seconds = read_retry_after(httpx.Headers({"retry-after": value}))
        assert seconds is None or 0 <= seconds <= 3600

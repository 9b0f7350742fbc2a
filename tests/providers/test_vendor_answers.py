"""What is made of a complete answer, good or not."""

import gzip

import httpx
import pytest

from llm_proxy.errors import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
    PromptTooLongError,
)
from llm_proxy.types import ChatRequest, ChatResponse, Text, Usage, said

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
BOTH = pytest.mark.parametrize("vendor", ["openai", "anthropic"])


def openai(content: object = "Hi", reason: object = "stop", **more: object) -> dict:
    choice = {"message": {"content": content, **more}, "finish_reason": reason}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return {"model": "gpt-4-0613", "choices": [choice], "usage": usage}


def anthropic(*blocks: object, reason: object = "end_turn") -> dict:
    return {
        "model": "claude-x",
        "content": list(blocks),
        "stop_reason": reason,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def text(words: str) -> dict:
    return {"type": "text", "text": words}


GOOD = {"openai": openai(), "anthropic": anthropic(text("Hi"))}


def ok(body: object, **headers: str) -> httpx.Response:
    """A success, from JSON or from bytes as they are."""
    if isinstance(body, bytes):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(200, stream=httpx.ByteStream(body), headers=named)
    return httpx.Response(200, json=body)


class TestGoodAnswers:
    @pytest.mark.parametrize(
        ("vendor", "body", "words", "reason"),
        [
            ("openai", openai(), "Hi", "stop"),
            ("openai", openai(reason="length"), "Hi", "length"),
            ("openai", openai(reason="content_filter"), "Hi", "content_filter"),
            ("openai", openai(None, refusal="I cannot."), "I cannot.", "refusal"),
            ("anthropic", anthropic(text("H"), text("i")), "Hi", "stop"),
            ("anthropic", anthropic({"type": "thinking"}, text("Hi")), "Hi", "stop"),
            ("anthropic", anthropic(text("Hi"), reason="max_tokens"), "Hi", "length"),
            ("anthropic", anthropic(text("No."), reason="refusal"), "No.", "refusal"),
        ],
    )
    async def test_text_and_reason_are_read(
        self, provider_of, vendor, body, words, reason
    ):
        model = {"openai": "gpt-4-0613", "anthropic": "claude-x"}[vendor]
        assert await provider_of(vendor, ok(body)).complete(QUESTION) == ChatResponse(
            (Text(words),), model, reason, Usage(3, 2, source="provider")
        )

    @BOTH
    @pytest.mark.parametrize(
        "media_type",
        ["application/json; charset=utf-8", "Application/JSON ;a=b", "text/x+json", ""],
    )
    async def test_json_has_several_names(self, provider_of, vendor, media_type):
        body = httpx.Response(200, json=GOOD[vendor]).content
        answer = ok(body, content_type=media_type, content_encoding="identity")
        assert (await provider_of(vendor, answer).complete(QUESTION)).text == "Hi"

    @BOTH
    async def test_no_usage_is_said_to_be_none(self, provider_of, vendor):
        body = GOOD[vendor] | {"usage": None}
        answer = await provider_of(vendor, ok(body)).complete(QUESTION)
        assert answer.usage == Usage()


class TestBadAnswers:
    @pytest.mark.parametrize(
        ("vendor", "body"),
        [
            *[("openai", openai(content)) for content in (None, "", " \n", [], 5)],
            ("openai", {"choices": []}),
            ("openai", {"choices": [{}]}),
            ("openai", openai(None, "tool_calls", tool_calls=[{}])),
            *[("anthropic", anthropic(text(words))) for words in ("", " \n")],
            ("anthropic", anthropic()),
            ("anthropic", anthropic({"type": "tool_use"}, reason="tool_use")),
            ("anthropic", {"content": None}),
            *[(vendor, {}) for vendor in GOOD],
            *[(vendor, []) for vendor in GOOD],
            *[(vendor, None) for vendor in GOOD],
            *[(vendor, b"") for vendor in GOOD],
            *[(vendor, b'{"choices": [{"mess') for vendor in GOOD],
            *[(vendor, b'{"content": NaN}') for vendor in GOOD],
            *[(vendor, b"[" * 100_000) for vendor in GOOD],
            *[(vendor, b"\xff\xfe") for vendor in GOOD],
        ],
    )
    async def test_what_holds_no_text_is_no_answer(self, provider_of, vendor, body):
        with pytest.raises(LLMBadResponseError) as caught:
            await provider_of(vendor, ok(body)).complete(QUESTION)
        assert caught.value.provider == vendor
        assert caught.value.log_detail

    @pytest.mark.parametrize(
        ("vendor", "body"),
        [
            ("openai", openai("", "content_filter")),
            ("anthropic", anthropic(reason="refusal")),
        ],
    )
    async def test_a_filter_that_left_nothing_has_its_own_name(
        self, provider_of, vendor, body
    ):
        with pytest.raises(LLMContentFilteredError):
            await provider_of(vendor, ok(body)).complete(QUESTION)

    @BOTH
    @pytest.mark.parametrize("media_type", ["text/html", "text/plain", "image/png"])
    async def test_another_content_type_is_not_read(
        self, provider_of, vendor, media_type
    ):
        body = httpx.Response(200, json=GOOD[vendor]).content
        answer = ok(body, content_type=media_type)
        with pytest.raises(LLMBadResponseError) as caught:
            await provider_of(vendor, answer).complete(QUESTION)
        assert caught.value.log_detail == "the content type is not JSON"

    @BOTH
    async def test_nothing_is_decompressed(self, provider_of, vendor):
        body = gzip.compress(httpx.Response(200, json=GOOD[vendor]).content)
        answer = ok(body, content_type="application/json", content_encoding="gzip")
        with pytest.raises(LLMBadResponseError) as caught:
            await provider_of(vendor, answer).complete(QUESTION)
        assert "compressed" in caught.value.log_detail

    @BOTH
    async def test_a_body_is_bounded(self, provider_of, vendor):
        body = httpx.Response(200, json=GOOD[vendor]).content
        fits = provider_of(vendor, ok(body), max_response_bytes=len(body))
        bursts = provider_of(vendor, ok(body), max_response_bytes=len(body) - 1)

        assert (await fits.complete(QUESTION)).text == "Hi"
        with pytest.raises(LLMBadResponseError) as caught:
            await bursts.complete(QUESTION)
        assert caught.value.log_detail == "the body is too large"

    @BOTH
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_not_followed(self, make_factory, vendor, status):
        asked = []

        def move(request: httpx.Request) -> httpx.Response:
            asked.append(request.url)
            return httpx.Response(status, headers={"location": "https://evil.test/"})

        with pytest.raises(LLMBadResponseError):
            await make_factory(move).get_provider(vendor, "m").complete(QUESTION)
        assert len(asked) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("vendor", "error", "kind"),
        [
            ("openai", {"type": "server_error"}, LLMUnavailableError),
            ("openai", {"code": "rate_limit_exceeded"}, LLMRateLimitedError),
            ("openai", {"code": "insufficient_quota"}, LLMQuotaExhaustedError),
            ("openai", {"code": "invalid_api_key"}, LLMCredentialsError),
            ("openai", {"code": "context_length_exceeded"}, PromptTooLongError),
            ("openai", {"code": 503}, LLMUnavailableError),
            ("openai", {"message": "who knows"}, LLMUnavailableError),
            ("openai", "who knows", LLMUnavailableError),
            ("anthropic", {"type": "overloaded_error"}, LLMUnavailableError),
            ("anthropic", {"type": "rate_limit_error"}, LLMRateLimitedError),
            ("anthropic", {"type": "authentication_error"}, LLMCredentialsError),
        ],
    )
    async def test_an_error_called_a_success_is_an_error(
        self, provider_of, vendor, error, kind
    ):
        body = {"type": "error", "error": error}
        with pytest.raises(kind) as caught:
            await provider_of(vendor, ok(body)).complete(QUESTION)
        assert caught.value.__cause__ is not None

    @BOTH
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>Bad gateway</html>",
            b"null",
            b"[]",
            b'{"error": null}',
            b'{"error": "words"}',
            b'{"error": {"type": 5, "code": [], "message": {}}}',
            b"\x1f\x8b gzip",
            b"x" * 100_000,
        ],
    )
    async def test_an_error_body_of_any_kind_leaves_the_status(
        self, provider_of, vendor, body
    ):
        answer = httpx.Response(503, content=body, headers={"retry-after": "2"})
        with pytest.raises(LLMUnavailableError) as caught:
            await provider_of(vendor, answer).complete(QUESTION)
        assert caught.value.upstream_status == 503
        assert caught.value.retry_after_seconds == 2

    @BOTH
    async def test_an_error_body_that_breaks_off_leaves_the_status(
        self, provider_of, vendor
    ):
        async def body():
            yield b'{"error'
            raise httpx.ReadError("gone")

        answer = httpx.Response(429, content=body())
        with pytest.raises(LLMRateLimitedError):
            await provider_of(vendor, answer).complete(QUESTION)

    @BOTH
    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            (httpx.ConnectError("x"), LLMConnectionError),
            (httpx.ReadError("x"), LLMConnectionLostError),
            (httpx.ReadTimeout("x"), LLMTimeoutError),
        ],
    )
    async def test_a_failed_exchange_is_told_with_its_cause(
        self, provider_of, vendor, failure, kind
    ):
        with pytest.raises(kind) as caught:
            await provider_of(vendor, failure).complete(QUESTION)
        assert caught.value.__cause__ is failure
        assert caught.value.provider == vendor

    @BOTH
    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            # It was made and will be billed, so it is not one that was never begun.
            (httpx.RemoteProtocolError("cut"), LLMStreamBrokenError),
            (httpx.ReadError("reset"), LLMStreamBrokenError),
            (httpx.ReadTimeout("stalled"), LLMTimeoutError),
        ],
    )
    async def test_an_answer_that_breaks_off_is_told_with_its_cause(
        self, provider_of, vendor, failure, kind
    ):
        async def body():
            yield b'{"choices'
            raise failure

        headers = {"content-type": "application/json"}
        answer = httpx.Response(200, headers=headers, content=body())
        with pytest.raises(kind) as caught:
            await provider_of(vendor, answer).complete(QUESTION)
        assert type(caught.value) is kind
        assert caught.value.__cause__ is failure

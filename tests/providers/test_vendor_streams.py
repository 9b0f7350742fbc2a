"""What is made of a streamed answer, whole or not."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from llm_proxy.errors import (
    APIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMContentFilteredError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
)
from llm_proxy.providers import LLMProvider
from llm_proxy.types import ChatRequest, ChatResponse, Chunk, Text, Usage, said
from llm_proxy.wire import gather

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
BOTH = pytest.mark.parametrize("vendor", ["openai", "anthropic"])
DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(value).encode()


def openai(reason: str | None = None, **delta: object) -> bytes:
    return event({"choices": [{"delta": delta, "finish_reason": reason}]})


def delta(words: str) -> bytes:
    text = {"type": "text_delta", "text": words}
    return event({"type": "content_block_delta", "index": 0, "delta": text})


def ending(reason: str) -> bytes:
    usage = {"input_tokens": 3, "output_tokens": 2}
    stop = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}
    return event(stop) + event({"type": "message_stop"})


SAYS = {"openai": lambda words: openai(content=words), "anthropic": delta}
ENDS = {
    "openai": openai("stop")
    + event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    + DONE,
    "anthropic": ending("end_turn"),
}
ERROR = {
    "openai": event({"error": {"code": "rate_limit_exceeded"}}),
    "anthropic": event({"type": "error", "error": {"type": "rate_limit_error"}}),
}


class Body(httpx.AsyncByteStream):
    """A body in pieces; an exception among them is raised.

    Attributes:
        closed: Whether the upstream connection would be free by now.
    """

    def __init__(self, *pieces: bytes | Exception | None) -> None:
        self._pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if piece is None:
                await asyncio.Event().wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed = True


def streamed(*pieces: bytes | Exception | None) -> httpx.Response:
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx.Response(200, headers=headers, stream=Body(*pieces))


async def read(provider: LLMProvider) -> list[Chunk]:
    return [chunk async for batch in provider.stream(QUESTION) for chunk in batch]


def words(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


@BOTH
async def test_an_answer_comes_as_it_grows(provider_of, vendor):
    says = SAYS[vendor]
    whole = streamed(says("Hel"), says("l") + says("o"), ENDS[vendor])
    batches = [batch async for batch in provider_of(vendor, whole).stream(QUESTION)]

    assert [words(batch) for batch in batches] == ["Hel", "lo", ""]
    last = batches[-1]
    assert [chunk.finish_reason for chunk in last if chunk.finish_reason] == ["stop"]
    assert last[-1].usage == Usage(3, 2, source="provider")
    assert whole.stream.closed


@BOTH
async def test_a_stream_is_asked_for(make_factory, vendor):
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return streamed(SAYS[vendor]("Hi"), ENDS[vendor])

    await read(make_factory(handle).get_provider(vendor, "m"))
    assert asked[0]["stream"] is True


@BOTH
async def test_a_last_word_that_never_comes_is_not_missed(provider_of, vendor):
    ends = {"openai": openai("stop"), "anthropic": ending("end_turn").split(b"\n\n")[0]}
    answer = streamed(SAYS[vendor]("Hi"), ends[vendor] + b"\n\n")
    assert words(await read(provider_of(vendor, answer))) == "Hi"


@BOTH
@pytest.mark.parametrize(
    "after", [(b": bye\n\n", None), (httpx.ReadError("reset"),), (b"", b"noise")]
)
async def test_what_follows_the_last_word_does_not_matter(provider_of, vendor, after):
    answer = streamed(SAYS[vendor]("Hi") + ENDS[vendor], *after)

    assert words(await read(provider_of(vendor, answer))) == "Hi"
    assert answer.stream.closed


@BOTH
async def test_an_upstream_that_does_not_stream_is_read_as_a_whole(provider_of, vendor):
    body = {
        "openai": {"choices": [{"message": {"content": "Hi"}}]},
        "anthropic": {"content": [{"type": "text", "text": "Hi"}]},
    }
    answer = httpx.Response(200, json=body[vendor])
    chunks = await read(provider_of(vendor, answer))
    assert gather(chunks) == ChatResponse((Text("Hi"),), "", "stop", Usage())


@pytest.mark.parametrize(
    ("vendor", "pieces"),
    [
        ("openai", (openai(refusal="I cannot."), openai("stop"), DONE)),
        ("anthropic", (delta("I cannot."), ending("refusal"))),
    ],
)
async def test_a_refusal_is_an_answer(provider_of, vendor, pieces):
    chunks = await read(provider_of(vendor, streamed(*pieces)))

    assert words(chunks) == "I cannot."
    assert "refusal" in [chunk.finish_reason for chunk in chunks]


async def failure(provider: LLMProvider) -> tuple[str, APIError]:
    """What came before the error, and the error."""
    chunks: list[Chunk] = []
    try:
        async for batch in provider.stream(QUESTION):
            chunks += batch
    except APIError as error:
        return words(chunks), error
    pytest.fail("the stream ended well")


@BOTH
@pytest.mark.parametrize("before", ["", "Hel"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.RemoteProtocolError("cut"), LLMStreamBrokenError),
        (httpx.ReadError("reset"), LLMStreamBrokenError),
        (httpx.ReadTimeout("stalled"), LLMTimeoutError),
        ("error", LLMRateLimitedError),
        (b"", LLMStreamBrokenError),
        (DONE, LLMStreamBrokenError),
        (b'data: {"choices": [\n\n', LLMStreamBrokenError),
        (b"data: " + b"x" * (2 << 20), LLMStreamBrokenError),
    ],
    ids=[
        "cut",
        "reset",
        "stalled",
        "error-event",
        "no-finish-reason",
        "done-without-finish-reason",
        "malformed",
        "endless-line",
    ],
)
async def test_a_stream_that_fails_says_so(provider_of, vendor, before, fault, kind):
    says = [SAYS[vendor](before)] if before else []
    answer = streamed(*says, ERROR[vendor] if fault == "error" else fault)
    came, error = await failure(provider_of(vendor, answer))

    assert (came, type(error)) == (before, kind)
    assert error.provider == vendor
    assert error.__cause__ is not None
    assert answer.stream.closed


@BOTH
async def test_an_empty_stream_is_no_answer(provider_of, vendor):
    _, error = await failure(provider_of(vendor, streamed()))
    assert type(error) is LLMStreamBrokenError


@BOTH
@pytest.mark.parametrize("blank", ["", " \n"])
async def test_a_whole_stream_without_text_is_no_answer(provider_of, vendor, blank):
    answer = streamed(SAYS[vendor](blank), ENDS[vendor])
    _, error = await failure(provider_of(vendor, answer))
    assert (type(error), error.log_detail) == (
        LLMBadResponseError,
        "no text, finish_reason=stop",
    )


@pytest.mark.parametrize(
    ("vendor", "end"),
    [("openai", openai("content_filter")), ("anthropic", ending("refusal"))],
)
async def test_a_filter_that_left_nothing_has_its_own_name(provider_of, vendor, end):
    _, error = await failure(provider_of(vendor, streamed(end)))
    assert type(error) is LLMContentFilteredError


@BOTH
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(503), LLMUnavailableError),
        (httpx.Response(200, html="<h1>Hi</h1>"), LLMBadResponseError),
        (httpx.ConnectError("refused"), LLMConnectionError),
    ],
)
async def test_what_fails_before_the_stream_fails_as_without(
    provider_of, vendor, answer, kind
):
    came, error = await failure(provider_of(vendor, answer))
    assert (came, type(error)) == ("", kind)


@BOTH
async def test_compressed_events_are_not_read(provider_of, vendor):
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    body = Body(SAYS[vendor]("Hi"), ENDS[vendor])
    answer = httpx.Response(200, headers=headers, stream=body)
    _, error = await failure(provider_of(vendor, answer))

    assert type(error) is LLMBadResponseError
    assert body.closed


@BOTH
async def test_a_caller_who_stops_frees_the_connection(provider_of, vendor):
    answer = streamed(SAYS[vendor]("Hi"), None)
    batches = provider_of(vendor, answer).stream(QUESTION)
    assert words(await anext(batches)) == "Hi"

    await batches.aclose()
    assert answer.stream.closed


@BOTH
async def test_a_caller_who_is_cancelled_frees_the_connection(provider_of, vendor):
    answer = streamed(SAYS[vendor]("Hi"), None)
    batches = provider_of(vendor, answer).stream(QUESTION)
    await anext(batches)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert answer.stream.closed


@BOTH
@pytest.mark.parametrize(
    "flood", [lambda says: says("x" * 2000), lambda says: b": comment\n" * 7000]
)
async def test_a_stream_without_end_is_cut(provider_of, vendor, flood):
    says = SAYS[vendor]
    endless = streamed(says("Hi"), *[flood(says)] * 10)
    provider = provider_of(vendor, endless, max_response_bytes=1000)
    with pytest.raises(LLMStreamBrokenError):
        await read(provider)
    assert endless.stream.closed

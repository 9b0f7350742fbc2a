"""Models that give a complete answer, most of them in an unusual way."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from llm_proxy.providers.sandbox.answers import (
    answer_to,
    answer_with,
    answer_with_calls,
    say,
)
from llm_proxy.providers.sandbox.behaviour import (
    Exchange,
    Model,
    compressed,
    failing,
    flaky,
    rewritten,
    scripted,
    spoken,
    stuffed,
    well_behaved,
    with_headers,
)
from llm_proxy.providers.sandbox.calls import may_call, tools_in_turn
from llm_proxy.providers.sandbox.conversation import Answer, Thinking
from llm_proxy.providers.sandbox.dialect import TOO_MANY, UNAVAILABLE, cut_words
from llm_proxy.providers.sandbox.reply import Pause, Raw, Reply, Step, answer_reply
from llm_proxy.providers.sandbox.thinking import redacted
from llm_proxy.providers.sandbox.usage import USAGE

_OVERLOADED = failing(UNAVAILABLE)
_TOO_MANY = failing(TOO_MANY)
_UNASKED = (
    b"0\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n"
    b'{"nobody asked": true}'
)
_REFUSAL = "I'm sorry, but I can't help with that."


def _count(exchange: Exchange) -> Reply:
    pieces = tuple(f"{number} " for number in range(1, exchange.number + 1))
    answer = answer_with(pieces, exchange.question, exchange.request_id)
    return exchange.reply(answer)


def _echo(exchange: Exchange) -> Reply:
    body = cut_words(exchange.question.body)
    return exchange.reply(say(exchange.answer, body, "stop"))


def _stop_early(answer: Answer) -> Answer:
    return say(answer, (answer.pieces or ())[:3], "length")


def _refuse(answer: Answer) -> Answer:
    return say(answer, cut_words(_REFUSAL), "refusal")


def _call_tool(exchange: Exchange) -> Reply:
    return _call_tools(exchange, 1)


def _call_two_tools(exchange: Exchange) -> Reply:
    if not may_call(exchange.question):
        return well_behaved(exchange)
    return _call_tools(exchange, 2)


def _call_tools(exchange: Exchange, count: int) -> Reply:
    question = exchange.question
    tools = tools_in_turn(question, count)
    return exchange.reply(answer_with_calls(tools, question, exchange.request_id))


def _think_aloud(exchange: Exchange) -> Reply:
    return _think(exchange, lambda thinking: replace(thinking, open=True))


def _think_in_secret(exchange: Exchange) -> Reply:
    return _think(exchange, redacted)


def _think(exchange: Exchange, alter: Callable[[Thinking], Thinking]) -> Reply:
    """Think about the answer even if that was not asked for."""
    question = exchange.question
    if question.thinking == "off":
        question = replace(question, thinking="on")
    answer = answer_to(question, exchange.request_id)
    thinking = answer.thinking and alter(answer.thinking)
    return exchange.reply(replace(answer, thinking=thinking))


def _always_report_usage(exchange: Exchange) -> Reply:
    question = replace(exchange.question, include_usage=True)
    return answer_reply(
        exchange.dialect, question, exchange.answer, exchange.request_id
    )


def _flap(exchange: Exchange) -> Reply:
    period = max(1, exchange.number)
    fails = int(time.time() // period) % 2 == 0
    return _OVERLOADED(exchange) if fails else well_behaved(exchange)


def _twice(json: bytes) -> bytes:
    """Add a member to an object, and the same with another value."""
    if not json.startswith(b"{"):
        return json
    return b'{"sandbox": 1, "sandbox": 2, ' + json[1:]


def _wait_once(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    return b"", Pause(exchange.number / 1000), *parts


def _wait_often(exchange: Exchange, parts: list[bytes]) -> Iterator[Step]:
    for part in parts:
        yield part
        yield Pause(exchange.number / 1000)


def _make_noise(exchange: Exchange, parts: list[bytes]) -> Iterator[Step]:
    for part in parts:
        yield from exchange.dialect.framing.make_noise(part)


def _leave_out_mark(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    return parts[:-1] if exchange.dialect.ends_with_mark else parts


def _cut_anywhere(_: Exchange, parts: list[bytes]) -> Iterator[Step]:
    body = b"".join(parts)
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


ANSWERING: dict[str, Model] = {
    "sandbox": Model(
        "Quotes the user, calls tools and thinks, as the request asks", well_behaved
    ),
    "chunks": Model("Counts to N, one token and one chunk per number", _count, 100),
    "flaky": Model(
        "Fails N times with 503, then answers; each request body counts for itself",
        flaky(_OVERLOADED, lambda number: number),
        2,
    ),
    "once-429": Model(
        "Fails once with 429 and `Retry-After: N`, then answers; as `flaky`",
        flaky(
            with_headers(_TOO_MANY, lambda number: {"retry-after": str(number)}),
            lambda _: 1,
        ),
        1,
    ),
    "flapping": Model(
        "By the clock, fails for N seconds with 503 and answers for N seconds",
        _flap,
        60,
    ),
    "slow-first-token": Model(
        "Sends the headers at once and the first token after N milliseconds",
        scripted(_wait_once),
        1000,
    ),
    "slow-stream": Model(
        "Waits N milliseconds after every event", scripted(_wait_often), 100
    ),
    "refusal": Model("Declines, in the vendor's own field for that", spoken(_refuse)),
    "length": Model(
        "Stops after three tokens as if no more fitted", spoken(_stop_early)
    ),
    "content-filter": Model(
        "Ends the answer because of a content filter",
        spoken(lambda answer: replace(answer, ending="content_filter")),
    ),
    "tool-calls": Model("Calls a tool and has no text", _call_tool),
    "parallel-tools": Model(
        "Calls two tools at once if any are offered, until there are results",
        _call_two_tools,
    ),
    "reasoning": Model(
        "Thinks first, and tells it in the OpenAI dialect too: `reasoning_content`",
        _think_aloud,
    ),
    "redacted-thinking": Model(
        "Thinks first, and encrypts it: a `redacted_thinking` block", _think_in_secret
    ),
    "echo-request": Model(
        "Repeats the body of the request, whatever `max_tokens` is", _echo
    ),
    "lenient": Model("Ignores parameters that it does not know", well_behaved),
    **USAGE,
    "unasked-usage": Model(
        "Ends the stream with usage even if the request did not ask for it",
        _always_report_usage,
        streams_only=True,
    ),
    "no-done": Model(
        "Leaves out the last event: `[DONE]` or `message_stop`",
        scripted(_leave_out_mark),
        streams_only=True,
    ),
    "noisy-stream": Model(
        "Uses CRLF, comments, `retry:`, `id:` and events of an unknown type",
        scripted(_make_noise),
        streams_only=True,
    ),
    "split-bytes": Model(
        "Sends seven bytes at a time, wherever that cuts", scripted(_cut_anywhere)
    ),
    "gzip": Model(
        "Compresses, whatever the client accepts", compressed(well_behaved, "gzip")
    ),
    "duplicate-keys": Model(
        "Has a member twice in every JSON object", rewritten(well_behaved, _twice)
    ),
    "nul": Model(
        "Says a word, NUL, and a word", stuffed(lambda _: [rb"one \u0000 two"])
    ),
    "unasked-response": Model(
        "Sends a second response behind the first",
        scripted(lambda _, parts: [*parts, Raw(_UNASKED)]),
    ),
}

"""Models that give a complete answer, most of them in an unusual way."""

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
    altered,
    flaky,
    gzipped,
    scripted,
    spoken,
    well_behaved,
)
from llm_proxy.providers.sandbox.calls import may_call, tools_in_turn
from llm_proxy.providers.sandbox.conversation import Answer, Thinking, Tokens
from llm_proxy.providers.sandbox.dialect import Problem, cut_words
from llm_proxy.providers.sandbox.reply import Pause, Reply, Step, answer_reply
from llm_proxy.providers.sandbox.thinking import redacted

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
        flaky(Problem(503, "The engine is currently overloaded.")),
        2,
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
    "missing-usage": Model(
        "Reports no usage", altered(lambda answer: replace(answer, tokens=None))
    ),
    "negative-usage": Model(
        "Reports -1000 tokens of either kind",
        altered(lambda answer: replace(answer, tokens=Tokens(-1000, -1000))),
    ),
    "huge-usage": Model(
        "Reports 10^18 tokens of either kind",
        altered(lambda answer: replace(answer, tokens=Tokens(10**18, 10**18))),
    ),
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
    "gzip": Model("Compresses, whatever the client accepts", gzipped(well_behaved)),
}

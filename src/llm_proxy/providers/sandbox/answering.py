"""Models that give a complete answer, most of them in an unusual way."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm_proxy.providers.sandbox.answers import answer_with
from llm_proxy.providers.sandbox.behaviour import (
    Exchange,
    Model,
    altered,
    flaky,
    gzipped,
    scripted,
    well_behaved,
)
from llm_proxy.providers.sandbox.dialect import (
    TOOL_ARGUMENTS,
    Answer,
    Ending,
    Problem,
    Tokens,
    cut_words,
)
from llm_proxy.providers.sandbox.reply import Pause, Reply, Step, answer_reply

_REFUSAL = "I'm sorry, but I can't help with that."


def _count(exchange: Exchange) -> Reply:
    pieces = tuple(f"{number} " for number in range(1, exchange.number + 1))
    answer = answer_with(pieces, exchange.question, exchange.request_id)
    return exchange.reply(answer)


def _stop_early(answer: Answer) -> Answer:
    return _say((answer.pieces or ())[:3], answer, "length")


def _refuse(answer: Answer) -> Answer:
    return _say(cut_words(_REFUSAL), answer, "refusal")


def _call_tool(answer: Answer) -> Answer:
    calling = _say(cut_words(TOOL_ARGUMENTS), answer, "tool_calls")
    return replace(calling, pieces=None)


def _say(pieces: tuple[str, ...], answer: Answer, ending: Ending) -> Answer:
    tokens = answer.tokens and Tokens(answer.tokens.input, len(pieces))
    return replace(answer, pieces=pieces, ending=ending, tokens=tokens)


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


def _make_noise(_: Exchange, parts: list[bytes]) -> Iterator[Step]:
    for part in parts:
        yield b": a comment\r\nretry: 3000\r\n\r\n"
        yield b'event: heartbeat\r\nid: 1\r\ndata: {"type": "heartbeat"}\r\n\r\n'
        yield part.replace(b"\n", b"\r\n")


def _cut_anywhere(_: Exchange, parts: list[bytes]) -> Iterator[Step]:
    body = b"".join(parts)
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


ANSWERING: dict[str, Model] = {
    "sandbox": Model("Quotes the beginning of the last user message", well_behaved),
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
    "refusal": Model("Declines, in the vendor's own field for that", altered(_refuse)),
    "length": Model(
        "Stops after three tokens as if no more fitted", altered(_stop_early)
    ),
    "content-filter": Model(
        "Ends the answer because of a content filter",
        altered(lambda answer: replace(answer, ending="content_filter")),
    ),
    "tool-calls": Model("Calls a tool and has no text", altered(_call_tool)),
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
        scripted(lambda _, parts: parts[:-1]),
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

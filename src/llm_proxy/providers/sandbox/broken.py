"""Models whose answer does not come, breaks off, or is no answer in the end."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm_proxy.providers.sandbox.behaviour import (
    Exchange,
    Model,
    altered,
    rewritten,
    scripted,
    spoken,
    well_behaved,
    with_headers,
)
from llm_proxy.providers.sandbox.dialect import OVERLOADED, TOO_MANY
from llm_proxy.providers.sandbox.reply import Endless, HangUp, Pause, Raw, Step

_FOREVER = Pause(86_400)
# Enough for what was sent before a reset to have been read.
_SHORTLY = Pause(0.05)
_MUCH_SPACE = b" " * 2**16
_PIECE = re.compile(rb'("(?:content|text|delta)":)"[^"]*"')
_REASON = re.compile(
    rb'("(?:finish_reason|stop_reason|finishReason|stopReason|status)":)"[^"]*"'
)


def _half(parts: list[bytes]) -> list[bytes]:
    return parts[: len(parts) // 2]


def _reset_midway(_: Exchange, parts: list[bytes]) -> Iterable[Step]:
    return *_half(parts), _SHORTLY, HangUp(abruptly=True)


def _drip(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    stream, pause = exchange.question.stream, Pause(exchange.number / 1000)
    filler = exchange.dialect.framing.idle_event if stream else b" "
    drops = [step for byte in filler for step in (bytes((byte,)), pause)]
    return *_half(parts), Endless(tuple(drops))


def _never_end(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    half = _half(parts)
    return *half, Endless((half[-1] if exchange.question.stream else _MUCH_SPACE,))


def _promise_too_much(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    # A stream that was cut after its last event would be a whole one.
    sent = _half(parts) if exchange.question.stream else parts
    return *sent, HangUp()


def _break_framing(_: Exchange, parts: list[bytes]) -> Iterable[Step]:
    half = _half(parts)
    return *half, Raw(b"no size\r\n"), *parts[len(half) :]


def _fail_midway(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    return *_half(parts), exchange.error_event(OVERLOADED)


def _malform(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    half = _half(parts)
    if not exchange.question.stream:
        return half
    broken = exchange.dialect.framing.broken_event
    return *half, broken, *parts[len(half) :]


def _spoil_piece(exchange: Exchange, parts: list[bytes]) -> Iterable[Step]:
    half, framing = _half(parts), exchange.dialect.framing
    spoiled = framing.rewrite(half[-1], lambda json: _PIECE.sub(rb"\1 42", json))
    return *half[:-1], spoiled, *parts[len(half) :]


def _long_line(exchange: Exchange, parts: list[bytes]) -> Iterator[Step]:
    yield from _half(parts)
    if exchange.question.stream:
        yield b"data: "
    for _ in range(exchange.number):
        yield b"0" * 2**20


BROKEN: dict[str, Model] = {
    "fault-no-response": Model(
        "Closes the connection instead of answering",
        scripted(lambda *_: [HangUp()]),
    ),
    "fault-reset": Model(
        "Resets the connection instead of answering",
        scripted(lambda *_: [HangUp(abruptly=True)]),
    ),
    "fault-hang": Model(
        "Sends nothing, not even headers", scripted(lambda *_: [_FOREVER])
    ),
    "fault-hang-after-headers": Model(
        "Sends the headers, then nothing", scripted(lambda *_: [b"", _FOREVER])
    ),
    "fault-stalled": Model(
        "Falls silent in the middle",
        scripted(lambda _, parts: [*_half(parts), _FOREVER]),
    ),
    "fault-drip": Model(
        "From the middle on, sends a byte that says nothing every N milliseconds",
        scripted(_drip),
        100,
    ),
    "fault-endless": Model("Goes on and on from the middle", scripted(_never_end)),
    "fault-cut": Model(
        "Closes the connection in the middle",
        scripted(lambda _, parts: [*_half(parts), HangUp()]),
    ),
    "fault-reset-midway": Model(
        "Resets the connection in the middle", scripted(_reset_midway)
    ),
    "fault-truncated": Model(
        "Closes the connection before all of `Content-Length` has come",
        with_headers(
            scripted(_promise_too_much), lambda _: {"content-length": "99999"}
        ),
    ),
    "fault-bad-chunk": Model(
        "A chunk of the transfer coding without a size, in the middle",
        scripted(_break_framing),
    ),
    "fault-no-finish": Model(
        "Ends in good order without saying why: no finish reason, no `[DONE]`",
        altered(lambda answer: replace(answer, ending=None)),
    ),
    "fault-done-without-finish": Model(
        "Ends in good order with `null` as the reason",
        rewritten(well_behaved, lambda json: _REASON.sub(rb"\1null", json)),
        streams_only=True,
    ),
    "fault-malformed": Model(
        "JSON that breaks off; in a stream, one event among good ones",
        scripted(_malform),
    ),
    "fault-bad-piece": Model(
        "A number in the place of one piece of the text",
        scripted(_spoil_piece),
        streams_only=True,
    ),
    "fault-first-event-error": Model(
        "Status 200 and an error as the first event",
        scripted(lambda exchange, _: [exchange.error_event(OVERLOADED)]),
        streams_only=True,
    ),
    "fault-first-event-429": Model(
        "Status 200 and a rate limit as the first event",
        scripted(lambda exchange, _: [exchange.error_event(TOO_MANY)]),
        streams_only=True,
    ),
    "fault-mid-stream-error": Model(
        "An error event in the middle", scripted(_fail_midway), streams_only=True
    ),
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
    "fault-content-type": Model(
        "The answer, called `text/plain`",
        with_headers(well_behaved, lambda _: {"content-type": "text/plain"}),
    ),
    "fault-empty-body": Model("Status 200 and no body", scripted(lambda *_: [b""])),
    "fault-huge-line": Model(
        "From the middle on, N MiB on one line that does not end",
        scripted(_long_line),
        16,
    ),
}
"""Models by name, without the number."""

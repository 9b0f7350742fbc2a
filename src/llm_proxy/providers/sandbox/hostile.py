"""Models whose answer would harm a client that trusts it."""

from collections.abc import Iterable

from llm_proxy.providers.sandbox.behaviour import (
    Behaviour,
    Exchange,
    Model,
    compressed,
    rewritten,
    stuffed,
    well_behaved,
    with_headers,
)
from llm_proxy.providers.sandbox.reply import Reply
from llm_proxy.providers.sandbox.usage import counting

_DEPTH = 100_000
_DIGITS = 5000
# What stands in the place of the text, if that is not a JSON string.
_NO_TEXT = {
    "nan": ("`NaN` in the place of the text", b"NaN"),
    "infinity": ("`-Infinity` in the place of the text", b"-Infinity"),
    "exponent": ("`1e999` in the place of the text", b"1e999"),
    "digits": (
        f"A number of {_DIGITS} digits in the place of the text",
        b"9" * _DIGITS,
    ),
    "deep": (
        f"{_DEPTH} lists, one in the other, in the place of the text",
        b"[" * _DEPTH + b"]" * _DEPTH,
    ),
    "wrong-type": ("An object in the place of the text", b'{"text": ["Hello"]}'),
    "lone-surrogate": (r"Half a character in the text: `\ud800`", rb'"\ud800"'),
    "raw-nul": ("A NUL byte in the text", b'"one \0 two"'),
}
# What stands in the place of the whole answer, and of each event.
_NO_ANSWER = {
    "json-null": b"null",
    "json-list": b"[]",
    "json-object": b"{}",
    "no-choices": b'{"choices": [], "content": [], "candidates": [], "output": []}',
}


def _mebibytes(number: int) -> Iterable[bytes]:
    return [b"0" * 2**20] * number


def _in_place_of_text(value: bytes) -> Behaviour:
    return stuffed(lambda _: [value], quoted=False)


def _in_place_of_answer(value: bytes) -> Behaviour:
    # The word `[DONE]` stays.
    return rewritten(
        well_behaved, lambda json: value if json.startswith(b"{") else json
    )


def _huge_error(exchange: Exchange) -> Reply:
    body = (b'{"error": {"message": "', *_mebibytes(exchange.number), b'"}}')
    return Reply(500, {"content-type": "application/json"}, body)


HOSTILE: dict[str, Model] = {
    "fault-invalid-utf8": Model(
        "Bytes in the text that are not UTF-8", stuffed(lambda _: [b"\xff\xfe"])
    ),
    **{
        f"fault-{name}": Model(summary, _in_place_of_text(value))
        for name, (summary, value) in _NO_TEXT.items()
    },
    **{
        f"fault-{name}": Model(
            f"`{value.decode()}`, in a stream as every event",
            _in_place_of_answer(value),
        )
        for name, value in _NO_ANSWER.items()
    },
    "fault-nan-usage": Model("Reports `NaN` tokens", counting(b"NaN")),
    "fault-huge": Model(
        "A text of N MiB; in a stream, on one line", stuffed(_mebibytes), 64
    ),
    "fault-huge-error": Model("Status 500 and a body of N MiB", _huge_error, 16),
    "fault-huge-headers": Model(
        "Headers of N MiB",
        with_headers(
            well_behaved, lambda number: {"x-padding": "0" * (number * 2**20)}
        ),
        4,
    ),
    **{
        f"fault-{coding}-bomb": Model(
            f"A text of N MiB, compressed with {coding} to a thousandth",
            compressed(stuffed(_mebibytes), coding),
            64,
        )
        for coding in ("gzip", "deflate", "zstd")
    },
    "fault-bad-gzip": Model(
        "The answer, called gzip",
        with_headers(well_behaved, lambda _: {"content-encoding": "gzip"}),
    ),
}
"""Models by name, without the number."""

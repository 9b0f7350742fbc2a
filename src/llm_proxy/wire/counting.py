"""The texts whose tokens have to be paid, for whoever counts where no provider does.

They are read from all dialects in which callers speak, and nothing is refused: what
cannot be read is no text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llm_proxy.wire.parsing import parse_json

# What is longer is taken to be as dense as its beginning.
_MAX_BYTES = 1 << 20

# What a model has to read, by the names that requests have for it. Providers write
# the last four into the prompt, more or less as they are.
_ASKED = ("system", "instructions", "messages", "input", "prompt", "suffix")
_ASKED_AS_JSON = ("tools", "functions", "response_format", "text")
# The same for what a model has written.
_ANSWERED = ("choices", "output", "content")
# And for the texts of turns, of their parts, and of the items of OpenAI's responses.
_TEXTS = (
    "arguments",
    "content",
    "context",
    "function",
    "function_call",
    "message",
    "name",
    "output",
    "refusal",
    "summary",
    "text",
    "thinking",
    "title",
    "tool_calls",
)
# Some upstreams send their thoughts under both names.
_THOUGHTS = ("reasoning_content", "reasoning")


def asked_texts(fields: Mapping[str, Any]) -> Iterator[str]:
    """List all texts of a request: turns, instructions, tools, the form of the answer.

    Args:
        fields: A request in any of the dialects, as `parse_json` gives it.

    Yields:
        Texts that are not empty. Images and other files are no texts.
    """
    for name in _ASKED:
        yield from _texts_of(fields.get(name))
    for name in _ASKED_AS_JSON:
        if form := fields.get(name):
            yield orjson.dumps(form).decode()


def delivered_texts(dialect: str, data: bytes) -> str:
    """Read what a model has written from the bytes of its answer.

    Args:
        dialect: In which they are, as `Surface` is called.
        data: JSON, or the events of a stream; may be cut off anywhere. Of more than a
            mebibyte only the beginning is read.

    Returns:
        Texts, thoughts and arguments of tools together. Where not all is read they are
        repeated, so that they have the length of all.
    """
    start = data[:_MAX_BYTES]
    if dialect not in _PIECES or not start:
        return ""
    if start.lstrip().startswith(b"{"):
        text = _text_of_answer(start)
    else:
        text = _found(_PIECES[dialect], start)
    times, rest = divmod(len(data), len(start))
    return text * times + text[: len(text) * rest // len(start)]


def _text_of_answer(body: bytes) -> str:
    try:
        answer = parse_json(body)
    except orjson.JSONDecodeError:
        return _found(_ALL, body)
    return "".join([text for name in _ANSWERED for text in _texts_of(answer.get(name))])


def _texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts_of(each)
    elif isinstance(value, dict):
        for name in _TEXTS:
            yield from _texts_of(value.get(name))
        yield from _texts_of(next(filter(None, map(value.get, _THOUGHTS)), None))
        yield from _texts_of_input(value.get("input"))
        yield from _texts_of_source(value.get("source"))


def _texts_of_input(given: object) -> Iterator[str]:
    """List what a tool is called with: text, or an object in Anthropic's dialect."""
    if isinstance(given, dict):
        yield orjson.dumps(given).decode()
    else:
        yield from _texts_of(given)


def _texts_of_source(source: object) -> Iterator[str]:
    """List the texts of a document in Anthropic's dialect, whose data may be base64."""
    if isinstance(source, dict):
        yield from _texts_of(source.get("content"))
        if source.get("type") == "text":
            yield from _texts_of(source.get("data"))


def _strings(*names: str) -> re.Pattern[bytes]:
    """Find strings by the names that JSON gives them, up to where they are cut off.

    What looks like a name inside of a string is none: its quotes are escaped there.
    """
    any_name = "|".join(names)
    return re.compile(
        rb'"(%b)"\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)' % any_name.encode(), re.DOTALL
    )


# What streams call the pieces of which answers are made. At its end one of OpenAI's
# responses repeats them under other names.
_PIECES = {
    "anthropic_messages": _strings("text", "thinking", "partial_json"),
    "openai_chat": _strings("content", "refusal", "arguments", "name", *_THOUGHTS),
    "openai_completions": _strings("text"),
    "openai_responses": _strings("delta"),
}
_WHOLE_ESCAPES = re.compile(
    rb"[^\\]*+(?:\\(?:[^u]|u[0-9a-fA-F]{4})[^\\]*+)*+", re.DOTALL
)
# For JSON that breaks off.
_ALL = _strings("text", "content", "refusal", "arguments", "thinking", *_THOUGHTS)


def _found(strings: re.Pattern[bytes], data: bytes) -> str:
    found = strings.findall(data)
    names = {name for name, _ in found}
    preferred, other = (name.encode() for name in _THOUGHTS)
    if preferred in names:
        found = [each for each in found if each[0] != other]
    return "".join([_unescaped(text) for _, text in found])


def _unescaped(text: bytes) -> str:
    if b"\\" in text:
        try:
            unescaped: str = orjson.loads(b'"%b"' % text)
        except orjson.JSONDecodeError:
            return _unescaped_so_far(text)
        return unescaped
    return text.decode(errors="replace")


def _unescaped_so_far(text: bytes) -> str:
    """Read a string that breaks off, maybe within an escape or a character."""
    if whole := _WHOLE_ESCAPES.match(text):
        text = whole[0]
    told = text.decode(errors="replace")
    try:
        unescaped: str = json.loads(f'"{told}"', strict=False)
    except json.JSONDecodeError:
        return told
    # Half of a pair of surrogates is no character.
    return unescaped.encode(errors="ignore").decode()

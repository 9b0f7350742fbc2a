"""Canonical values for property tests of dialects.

A dialect says what its normal form is by the arguments it gives here.
"""

import json
from itertools import pairwise

from hypothesis import strategies as st

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    Media,
    Message,
    ResponseFormat,
    Text,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolResult,
    Usage,
)

# Every character that JSON can carry.
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, min_size=1, max_size=20)
# Texts that survive dialects which drop turns of blanks.
WORDS = st.text('abc é😀"\\\n', min_size=1, max_size=12).map(lambda text: f"w{text}")
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,12}", fullmatch=True)
BASE64 = st.sampled_from(["aGVsbG8=", "AA==", "iVBORw0KGgo="])
URLS = st.sampled_from(["https://example.com/a.png", "https://example.org/b?c=d"])
CACHES = st.sampled_from([None, None, "5m", "1h"])
NO_CACHE = st.none()
NO_DETAIL = st.just("")
NOT_CUSTOM = st.just(False)
STRICTNESS = st.sampled_from([None, True, False])

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
JSON_OBJECTS = st.dictionaries(NAMES, JSON_VALUES, max_size=3)
# As orjson writes it, which is how arguments come out of a dialect of objects.
ARGUMENTS = JSON_OBJECTS.map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
)
CLOSED = {"additionalProperties": False}
SCHEMAS = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(
            NAMES,
            st.sampled_from([{"type": "string"}, {"type": "integer"}]),
            max_size=3,
        ),
    },
    optional={"additionalProperties": st.just(False)},
)
CLOSED_SCHEMAS = SCHEMAS.map(lambda schema: schema | CLOSED)
STRICT_SCHEMAS = CLOSED_SCHEMAS.map(
    lambda schema: schema | {"required": list(schema["properties"])}
)


def texts(cache=NO_CACHE, values=TEXTS):
    """Parts of text."""
    return st.builds(Text, values, cache)


def images(cache=NO_CACHE, detail=NO_DETAIL, files=True):
    """Images: their bytes, their address, their id."""
    kinds = ["image/png", "image/jpeg", "image/gif", "image/webp"]
    forms = [
        st.builds(
            Media,
            st.just("image"),
            media_type=st.sampled_from(kinds),
            data=BASE64,
            detail=detail,
            cache=cache,
        ),
        st.builds(Media, st.just("image"), url=URLS, detail=detail, cache=cache),
    ]
    if files:
        forms.append(
            st.builds(
                Media, st.just("image"), file_id=NAMES, detail=detail, cache=cache
            )
        )
    return st.one_of(forms)


def documents(cache=NO_CACHE, name=TEXTS, urls=True):
    """PDF files: their bytes, their address, their id."""
    document = st.just("document")
    forms = [
        st.builds(
            Media,
            document,
            media_type=st.just("application/pdf"),
            data=BASE64,
            name=name,
            cache=cache,
        ),
        st.builds(Media, document, file_id=NAMES, name=name, cache=cache),
    ]
    if urls:
        forms.append(st.builds(Media, document, url=URLS, name=name, cache=cache))
    return st.one_of(forms)


def tool_calls(cache=NO_CACHE, custom=NOT_CUSTOM, arguments=ARGUMENTS):
    """Calls; give them ids that differ with `unique_calls`."""
    return st.builds(ToolCall, NAMES, NAMES, arguments, custom=custom, cache=cache)


def unique_calls(calls, min_size=0, max_size=3):
    """Calls of one answer."""
    return st.lists(
        calls, min_size=min_size, max_size=max_size, unique_by=lambda call: call.id
    )


def merged(parts):
    """The parts, of which no two texts are neighbours."""
    result = []
    for part in parts:
        if isinstance(part, Text) and result and isinstance(result[-1], Text):
            part = Text(result.pop().text + part.text, part.cache)
        result.append(part)
    return tuple(result)


@st.composite
def conversations(draw, *, user, assistant, calls, results, leading=()):
    """Turns of user and assistant by turns; calls are answered in the next turn.

    Args:
        draw: Hypothesis.
        user: Parts of a user's turn.
        assistant: Parts of an assistant's turn, besides calls.
        calls: Calls.
        results: What a result may consist of.
        leading: Messages to put first, each one a strategy.
    """
    turns = [draw(message) for message in leading]
    open_calls = []
    for _ in range(draw(st.integers(1, 3))):
        answers = tuple(
            ToolResult(
                call.id,
                tuple(draw(st.lists(results, min_size=1, max_size=2))),
                custom=call.custom,
            )
            for call in open_calls
        )
        least = 0 if answers else 1
        said = draw(st.lists(user, min_size=least, max_size=3))
        turns.append(Message("user", (*answers, *said)))
        said = draw(st.lists(assistant, max_size=2))
        open_calls = draw(unique_calls(calls, min_size=0 if said else 1))
        turns.append(Message("assistant", (*said, *open_calls)))
    if draw(st.booleans()) or open_calls:
        answers = tuple(
            ToolResult(call.id, (Text("done"),), custom=call.custom)
            for call in open_calls
        )
        turns.append(Message("user", (*answers, draw(texts(values=WORDS)))))
    return tuple(turns)


def tools(cache=NO_CACHE, strict=STRICTNESS):
    """Lists of tools whose names differ."""
    tool = strict.flatmap(
        lambda wanted: st.builds(
            Tool,
            NAMES,
            st.just("") | TEXTS,
            STRICT_SCHEMAS if wanted else SCHEMAS,
            strict=st.just(wanted),
            cache=cache,
        )
    )
    return st.lists(tool, max_size=3, unique_by=lambda one: one.name).map(tuple)


TOOL_CHOICES = st.none() | st.one_of(
    st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])),
    st.builds(ToolChoice, st.just("named"), NAMES),
)


def schema_formats(description=NO_DETAIL):
    """Forms of an answer as OpenAI takes them."""
    rest = (NAMES, description)
    return st.one_of(
        st.builds(ResponseFormat, STRICT_SCHEMAS, *rest, st.just(True)),
        st.builds(ResponseFormat, SCHEMAS, *rest, st.just(False)),
    )


@st.composite
def usages(draw, cached=True, cache_write=True, reasoning=True):
    """Reports that do not contradict themselves."""
    read = draw(st.integers(0, 10**6)) if cached else 0
    written = draw(st.integers(0, 10**6)) if cache_write else 0
    thought = draw(st.integers(0, 10**6)) if reasoning else 0
    return Usage(
        input_tokens=read + written + draw(st.integers(0, 10**6)),
        output_tokens=thought + draw(st.integers(0, 10**6)),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thought,
        source="provider",
    )


def signed_thinking():
    """Thoughts that a provider will take back, and those that only it reads."""
    return st.one_of(
        st.builds(Thinking, st.just("") | TEXTS, TEXTS),
        st.builds(Thinking, encrypted=TEXTS),
    )


@st.composite
def responses(
    draw, *, thinking=None, calls=None, usage=None, text=None, finish_reasons=None
):
    """Answers: thoughts, then text and calls; the finish reason fits.

    Args:
        draw: Hypothesis.
        thinking: Thoughts; None for none.
        calls: Calls; None for none.
        usage: Tokens.
        text: Texts; parts of them are made, merged where they are neighbours.
        finish_reasons: Those of answers without calls.
    """
    thoughts = draw(st.lists(thinking, max_size=2)) if thinking is not None else []
    said = draw(st.lists(texts(values=TEXTS if text is None else text), max_size=1))
    wanted = draw(unique_calls(calls)) if calls is not None else []
    plain = st.sampled_from(["stop", "length", "refusal"])
    return ChatResponse(
        parts=(*thoughts, *said, *wanted),
        model=draw(NAMES),
        finish_reason="tool_calls"
        if wanted
        else draw(plain if finish_reasons is None else finish_reasons),
        usage=draw(usages() if usage is None else usage),
    )


def _pieces(draw, text):
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    edges = [0, *cuts, len(text)]
    found = [text[a:b] for a, b in pairwise(edges)]
    return [piece for piece in found if piece]


@st.composite
def chunks_of(draw, response):
    """One way to stream an answer; usage comes last, as upstreams send it."""
    chunks = [Chunk(model=response.model)]
    call = 0
    for part in response.parts:
        match part:
            case Text(text):
                chunks += [Chunk(piece) for piece in _pieces(draw, text)]
            case Thinking(text, signature, encrypted):
                deltas = [ThinkingDelta(piece) for piece in _pieces(draw, text)]
                if signature or encrypted:
                    deltas.append(ThinkingDelta("", signature, encrypted))
                chunks += [Chunk(delta=delta) for delta in deltas]
            case ToolCall():
                first = ToolCallDelta(
                    call, part.id, part.name, "", part.custom, part.signature
                )
                chunks.append(Chunk(delta=first))
                chunks += [
                    Chunk(delta=ToolCallDelta(call, arguments=piece))
                    for piece in _pieces(draw, part.arguments)
                ]
                call += 1
    chunks.append(
        Chunk(
            finish_reason=response.finish_reason, stop_sequence=response.stop_sequence
        )
    )
    chunks.append(Chunk(usage=response.usage))
    return chunks


@st.composite
def cut(draw, data):
    """The bytes, cut anywhere."""
    size = max(1, len(data))
    cuts = sorted(set(draw(st.lists(st.integers(0, size), max_size=12))))
    edges = [0, *cuts, size]
    return [data[a:b] for a, b in pairwise(edges) if a < b]

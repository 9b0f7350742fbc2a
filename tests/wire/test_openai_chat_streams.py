import json
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from tests.wire import strategies as canonical

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    Text,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.openai_chat import OpenAIChat, OpenAIChatSurface
from llm_proxy.wire.surface import Asked

DIALECT = OpenAIChat()
SURFACE = OpenAIChatSurface()
TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
WITH_USAGE = {"stream_options": {"include_usage": True}}


def event(payload):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"data: {text}\n\n".encode()


def stream(*payloads):
    decoder = DIALECT.stream_decoder()
    chunks = [chunk for payload in payloads for chunk in decoder.feed(event(payload))]
    return chunks + decoder.close()


def piece(text=None, finish_reason=None, **more):
    delta = {} if text is None else {"content": text}
    return {"choices": [{"delta": delta, "finish_reason": finish_reason}], **more}


def delta(**fields):
    return {"choices": [{"delta": fields, "finish_reason": None}]}


def calls(*pieces):
    """What the pieces of calls become, and the finish reason ``stop`` after them."""
    *chunks, finish = stream(*(delta(tool_calls=each) for each in pieces), FINISH)
    return [chunk.delta for chunk in chunks], finish.finish_reason


def test_a_stream_is_read_chunk_by_chunk():
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    chunks = stream(
        piece("", model="gpt-4-0613"),
        piece("Hel"),
        piece("lo"),
        piece(finish_reason="length"),
        {"choices": [], "usage": usage},
        "[DONE]",
    )
    assert chunks == [
        Chunk(model="gpt-4-0613"),
        Chunk("Hel"),
        Chunk("lo"),
        Chunk(finish_reason="length"),
        Chunk(usage=Usage(3, 2, source="provider")),
    ]


def test_the_model_comes_before_what_it_says():
    first = {**delta(reasoning="hm", content="Hi"), "model": "m"}
    assert stream(first, FINISH)[:3] == [
        Chunk(model="m"),
        Chunk(delta=ThinkingDelta("hm")),
        Chunk("Hi"),
    ]


def test_usage_in_the_last_chunk_counts():
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert stream(piece("a", "stop", usage=usage)) == [
        Chunk("a", "stop", Usage(3, 2, source="provider"))
    ]


def test_a_streamed_refusal_is_text_that_ends_as_refusal():
    chunks = stream(delta(content=None, refusal="No."), FINISH)
    assert chunks == [Chunk("No."), Chunk(finish_reason="refusal")]


def test_log_probabilities_come_with_their_text():
    chunk = piece("Hi")
    chunk["choices"][0]["logprobs"] = {"content": [TOKEN], "refusal": None}
    assert stream(chunk, FINISH)[0] == Chunk("Hi", logprobs=(TOKEN,))


FIRST = {"index": 0, "id": "a", "type": "function"}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [
                [{**FIRST, "function": {"name": "f", "arguments": ""}}],
                [{"index": 0, "function": {"arguments": "{"}}],
                [
                    {"index": 0, "function": {"arguments": "}"}},
                    {"index": 1, "id": "b", "function": {"name": "g"}},
                ],
                [{"index": 1, "function": {"arguments": "{}"}}],
            ],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="as the reference says",
        ),
        pytest.param(
            [
                [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
                [{"id": "b", "function": {"name": "g", "arguments": "{"}}],
                [{"id": "b", "function": {"name": "g", "arguments": "}"}}],
                [{"function": {"arguments": " "}}],
            ],
            [("a", "f", "{}"), ("b", "g", "{} ")],
            id="without an index",
        ),
        pytest.param(
            [
                [{"function": {"name": "f", "arguments": "{}"}}],
                [{"function": {"name": "g", "arguments": "{"}}],
                [{"function": {"arguments": "}"}}],
            ],
            [("call_0", "f", "{}"), ("call_1", "g", "{}")],
            id="without index and id",
        ),
        pytest.param(
            [
                [{**FIRST, "function": {"name": "f", "arguments": "{"}}],
                [{**FIRST, "function": {"name": "f", "arguments": "}"}}],
            ],
            [("a", "f", "{}")],
            id="with id and name repeated",
        ),
        pytest.param(
            [
                [{**FIRST, "function": {"name": "f", "arguments": "{}"}}],
                [{**FIRST, "id": "b", "function": {"name": "f", "arguments": "{"}}],
                [{"index": 0, "function": {"arguments": "}"}}],
            ],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="with the same index for all",
        ),
        pytest.param(
            [[FIRST], [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]],
            [("a", "f", "{}")],
            id="with a name that comes late",
        ),
        pytest.param(
            [[{**FIRST, "function": {"name": "f", "arguments": {"a": 1}}}]],
            [("a", "f", '{"a":1}')],
            id="with arguments that are an object",
        ),
    ],
)
def test_calls_are_put_together_however_they_come(pieces, expected):
    deltas, finish_reason = calls(*pieces)
    assert finish_reason == "tool_calls"
    chunks = [Chunk(delta=each) for each in deltas]
    gathered = gather([*chunks, Chunk(finish_reason="stop")]).parts
    assert [(call.id, call.name, call.arguments) for call in gathered] == expected


def test_custom_calls_and_signatures_are_read():
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c"}}
    second = {"index": 0, "custom": {"input": "free"}}
    signed = {"extra_content": {"google": {"thought_signature": "s"}}}
    deltas, _ = calls([{**first, **signed}], [second])
    assert deltas == [
        ToolCallDelta(0, "a", "c", "", custom=True, signature="s"),
        ToolCallDelta(0, arguments="free"),
    ]


def test_a_function_call_of_the_older_api_is_a_call():
    chunks = stream(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
        piece(finish_reason="function_call"),
    )
    assert gather(chunks).parts == (ToolCall("call_0", "f", "{}"),)


def test_arguments_of_nobody_are_an_error():
    with pytest.raises(WireError, match="name"):
        calls([{"index": 0, "function": {"arguments": "{}"}}])


@pytest.mark.parametrize("words", ["keep-alive", "{}}", "[1]", "null", ""])
def test_words_between_chunks_are_no_content(words):
    assert stream(piece("a"), words, piece(finish_reason="stop"))[0].text == "a"


@pytest.mark.parametrize(
    "payload", ['{"choices": [', '{"x": ', '{"delta"}', '{"choices": NaN}']
)
def test_a_broken_chunk_is_an_error(payload):
    with pytest.raises(WireError):
        stream(piece("a"), payload)


@pytest.mark.parametrize(
    "data",
    [
        event({"error": {"message": "m", "type": "server_error"}}),
        event({"object": "error", "message": "m", "code": 500}),
        b'event: error\ndata: {"message": "m"}\n\n',
        b"event: error\ndata: overloaded\n\n",
    ],
)
def test_an_error_event_is_a_fault(data):
    with pytest.raises(UpstreamFaultError):
        DIALECT.stream_decoder().feed(data)


@pytest.mark.parametrize("ending", [[], ["[DONE]"]])
def test_a_stream_without_finish_reason_is_not_whole(ending):
    with pytest.raises(WireError, match="finish reason"):
        stream(piece("a"), *ending)


def test_an_answer_ends_once():
    assert stream(piece("a", "stop"), piece("b", "stop")) == [Chunk("a", "stop")]


def test_nothing_is_read_after_done():
    decoder = DIALECT.stream_decoder()
    assert not decoder.done
    assert decoder.feed(b'data: [DONE]\n\ndata: {"error": {}}\n\n') == []
    assert decoder.done


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists))
def test_no_json_in_any_place_raises_anything_else(value):
    keys = ("choices", "usage", "error", "model")
    choice = {"delta": value, "finish_reason": value, "logprobs": value, "text": value}
    call = {"index": value, "id": value, "function": value}
    inner = {"index": 0, "function": {"name": value, "arguments": value}}
    message = {"content": value, "refusal": value, "function_call": value}
    for payload in (
        dict.fromkeys(keys, value),
        {"choices": [choice]},
        delta(**message),
        delta(tool_calls=value),
        delta(tool_calls=[value, call, inner]),
    ):
        with suppress(WireError):
            stream(payload, FINISH)


@pytest.mark.parametrize(
    "lost",
    [
        {"choices": 42},
        {"choices": [42]},
        {"choices": [{"delta": 42}]},
        {"choices": [{"text": 42}]},
        delta(content=42),
        delta(content=False),
        delta(content={"text": "a"}),
        delta(content=[{"type": "text", "text": 42}]),
        delta(content=["a"]),
        delta(content="a", refusal=42),
        delta(content="a", tool_calls=42),
        delta(tool_calls=[42]),
        delta(tool_calls=[{**FIRST, "function": 42}]),
        delta(tool_calls=[{**FIRST, "function": {"name": "f", "arguments": 42}}]),
    ],
)
def test_a_piece_that_cannot_be_read_is_an_error(lost):
    with pytest.raises(WireError):
        stream(delta(content="one "), lost, delta(content="two"), FINISH)


@pytest.mark.parametrize(
    "empty",
    [
        {"choices": None},
        {"choices": []},
        {"choices": [{"delta": None}]},
        delta(content=None, refusal=None, tool_calls=None, function_call=None),
        delta(content=[{"type": "reference", "reference_ids": [1]}]),
    ],
)
def test_a_piece_may_be_empty(empty):
    assert gather(stream(delta(content="a"), empty, FINISH)).text == "a"


def write(chunks, **fields):
    """All events that callers read, one feed per chunk."""
    encoder = SURFACE.stream_encoder(Asked("abc", 1700000000, "asked-model", fields))
    return b"".join([*(encoder.feed([chunk]) for chunk in chunks), encoder.close()])


def payloads(data):
    *events, end = data.split(b"\n\n")
    assert end == b""
    assert all(each.startswith(b"data: ") for each in events)
    *events, done = [each.removeprefix(b"data: ") for each in events]
    assert done == b"[DONE]"
    for each in events:
        # The SDK's types do not know streamed calls of custom tools.
        if b'"custom"' not in each:
            ChatCompletionChunk.model_validate_json(each, strict=True)
    return [orjson.loads(each) for each in events]


def deltas(data):
    return [each["choices"][0]["delta"] for each in payloads(data)]


def test_a_stream_is_written_event_by_event():
    chunks = [Chunk(model="m"), Chunk("Hi"), Chunk(finish_reason="stop")]
    frame = {
        "id": "chatcmpl-abc",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
    }

    def expected(delta, finish_reason=None):
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return {**frame, "choices": [choice]}

    assert payloads(write([*chunks, Chunk(usage=Usage(1, 2, source="provider"))])) == [
        expected({"role": "assistant", "content": ""}),
        expected({"content": "Hi"}),
        expected({}, "stop"),
    ]


def test_who_asks_for_the_usage_gets_it_last():
    usage = Chunk(usage=Usage(1, 2, source="provider"))
    *events, last = payloads(
        write([Chunk("Hi"), Chunk(finish_reason="stop"), usage], **WITH_USAGE)
    )
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3
    assert {event["usage"] for event in events} == {None}


def test_usage_that_nobody_knows_is_not_written():
    events = payloads(write([Chunk(finish_reason="stop")], **WITH_USAGE))
    assert [event["usage"] for event in events] == [None, None]


def test_nothing_is_written_while_nothing_is_said():
    encoder = SURFACE.stream_encoder(Asked("abc", 1, "m", {}))
    silent = [Chunk(model="m"), Chunk(usage=Usage()), Chunk(delta=ThinkingDelta())]
    assert encoder.feed(silent) == b""
    assert encoder.feed([]) == b""


def test_thoughts_log_probabilities_and_signatures_are_written():
    chunks = [
        Chunk(delta=ThinkingDelta("hm")),
        Chunk(delta=ThinkingDelta(signature="only for its provider")),
        Chunk("Hi", logprobs=(TOKEN,)),
        Chunk(delta=ToolCallDelta(0, "1", "f", signature="s")),
        Chunk(delta=ToolCallDelta(0, arguments="{}")),
    ]
    events = payloads(write([*chunks, Chunk(finish_reason="tool_calls")]))

    assert [event["choices"][0]["delta"] for event in events[1:]] == [
        {"reasoning_content": "hm"},
        {"content": "Hi"},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "1",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                    "extra_content": {"google": {"thought_signature": "s"}},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert events[2]["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}


def test_a_refusal_that_has_gone_out_as_text_ends_as_filtered():
    events = payloads(write([Chunk("No."), Chunk(finish_reason="refusal")]))
    assert events[-1]["choices"][0]["finish_reason"] == "content_filter"


def test_who_defined_functions_gets_one_function_call():
    chunks = [
        Chunk(delta=ToolCallDelta(0, "1", "f")),
        Chunk(delta=ToolCallDelta(0, arguments="{}")),
        Chunk(delta=ToolCallDelta(1, "2", "g")),
        Chunk(finish_reason="tool_calls"),
    ]
    data = write(chunks, functions=[{"name": "f"}])
    assert deltas(data)[1:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]
    assert payloads(data)[-1]["choices"][0]["finish_reason"] == "function_call"


def test_who_defined_a_custom_tool_gets_free_text_while_it_grows():
    arguments = ['{"inp', 'ut": "fr', "ee", ' \\u00e9"}']
    chunks = [
        Chunk(delta=ToolCallDelta(0, "1", "c")),
        *(Chunk(delta=ToolCallDelta(0, arguments=each)) for each in arguments),
        Chunk(finish_reason="tool_calls"),
    ]
    data = write(chunks, tools=[{"type": "custom", "custom": {"name": "c"}}])
    _, first, *rest, _ = deltas(data)
    assert first["tool_calls"] == [
        {"index": 0, "id": "1", "type": "custom", "custom": {"name": "c", "input": ""}}
    ]
    inputs = [each["tool_calls"][0]["custom"]["input"] for each in rest]
    assert inputs == ["fr", "ee", " é"]


CALLS = st.one_of(
    canonical.tool_calls(),
    st.builds(
        ToolCall,
        canonical.NAMES,
        canonical.NAMES,
        canonical.TEXTS,
        st.just(True),
        st.just("") | canonical.TEXTS,
    ),
)


@st.composite
def streams(draw):
    """An answer, and bytes that stream it, cut anywhere."""
    response = draw(
        canonical.responses(
            calls=CALLS,
            usage=canonical.usages() | st.just(Usage()),
            finish_reasons=st.sampled_from(["stop", "length", "content_filter"]),
        )
    )
    thoughts = draw(st.just(()) | st.tuples(st.builds(Thinking, canonical.TEXTS)))
    response = ChatResponse(
        (*thoughts, *response.parts),
        response.model,
        response.finish_reason,
        response.usage,
    )
    data = write(draw(canonical.chunks_of(response)), **WITH_USAGE)
    if draw(st.booleans()):
        data = data.replace(b"\n", b"\r\n")
    return response, draw(canonical.cut(b": hello\n\n" + data))


@given(streams())
def test_streamed_and_whole_are_the_same(case):
    response, pieces = case
    decoder = DIALECT.stream_decoder()
    chunks = [chunk for data in pieces for chunk in decoder.feed(data)]
    chunks += decoder.close()

    whole = SURFACE.encode_response(response, Asked("abc", 1, "m", {}))
    assert decoder.done
    assert gather(chunks) == DIALECT.decode_response(whole) == response


def test_texts_and_calls_keep_their_order():
    response = ChatResponse(
        (Text("a"), ToolCall("1", "f", "{}")), "m", "tool_calls", Usage()
    )
    chunks = [
        Chunk("a", model="m"),
        Chunk(delta=ToolCallDelta(0, "1", "f", "{}")),
        Chunk(finish_reason="tool_calls"),
    ]
    assert gather(DIALECT.stream_decoder().feed(write(chunks))) == response

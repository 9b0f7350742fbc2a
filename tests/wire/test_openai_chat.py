import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import ChatRequest, Chunk, Message, Usage
from llm_proxy.wire import OpenAIChat, UpstreamFaultError, WireError

DIALECT = OpenAIChat()
HELLO = ChatRequest(messages=(Message("user", "Hello"),))


def answer(**message):
    return {
        "model": "gpt-4-0613",
        "choices": [{"message": {"content": "Hi", **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def decode(value):
    return DIALECT.decode_response(json.dumps(value).encode())


def stream(*payloads, dialect=DIALECT):
    decoder = dialect.stream_decoder()
    chunks = []
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        chunks += decoder.feed(f"data: {text}\n\n".encode())
    decoder.close()
    return chunks


def piece(text=None, finish_reason=None, **more):
    delta = {} if text is None else {"content": text}
    return {"choices": [{"delta": delta, "finish_reason": finish_reason}], **more}


def test_a_bare_prompt_is_exactly_model_and_messages():
    assert json.loads(DIALECT.encode_request("gpt-4", HELLO, False)) == {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_every_option_has_its_field():
    request = ChatRequest(
        messages=(
            Message("user", "a"),
            Message("assistant", "b"),
            Message("user", "c"),
        ),
        system="Be brief.",
        max_tokens=5,
        temperature=0.5,
        response_schema={"type": "object"},
    )
    dialect = OpenAIChat(max_tokens_field="max_completion_tokens", json_schema=True)
    assert json.loads(dialect.encode_request("m", request, True)) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "max_completion_tokens": 5,
        "temperature": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": {"type": "object"},
                "strict": True,
            },
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_an_upstream_does_not_know_is_not_sent():
    request = ChatRequest(messages=HELLO.messages, response_schema={"type": "object"})
    body = json.loads(OpenAIChat(stream_usage=False).encode_request("m", request, True))
    assert body.keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("message", "text", "finish_reason"),
    [
        ({"content": "Hi"}, "Hi", "stop"),
        ({"content": None}, "", "stop"),
        ({"content": None, "refusal": "No."}, "No.", "refusal"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "x"}]}, "a", "stop"),
    ],
)
def test_text_and_refusal_are_read(message, text, finish_reason):
    response = decode(answer(**message))
    assert (response.text, response.finish_reason) == (text, finish_reason)
    assert response.model == "gpt-4-0613"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("something-new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons_are_read(theirs, ours):
    value = answer()
    value["choices"][0]["finish_reason"] = theirs
    assert decode(value).finish_reason == ours


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 7, 4, 5, "provider"),
        ),
        ({"prompt_tokens": 9}, Usage(9, 0, 0, 0, "provider")),
        ({"prompt_tokens": -1, "completion_tokens": 7}, Usage()),
        ({"prompt_tokens": 10**18, "completion_tokens": 7}, Usage()),
        ({"prompt_tokens": "9", "completion_tokens": 7}, Usage()),
        (None, Usage()),
        ([], Usage()),
    ],
)
def test_usage_is_read_and_nonsense_is_no_usage(usage, expected):
    assert decode({**answer(), "usage": usage}).usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": NaN}',
        b"\xff",
    ],
)
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        DIALECT.decode_response(body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"type": "server_error", "message": "m"}, 500, "server_error"),
        ({"code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"code": 502, "message": "m"}, 502, ""),
        ({"type": "t", "code": "insufficient_quota"}, 402, "t insufficient_quota"),
        ("words", None, ""),
    ],
)
def test_an_error_inside_a_success_is_a_fault(error, status, code):
    with pytest.raises(UpstreamFaultError) as caught:
        decode({"error": error})
    assert (caught.value.detail.status, caught.value.detail.code) == (status, code)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": null}', b"\xff"])
def test_error_bodies_of_any_kind_can_be_read(body):
    detail = DIALECT.decode_error(body)
    assert (detail.status, detail.code, detail.message) == (None, "", "")


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


def test_a_streamed_refusal_is_text_that_ends_as_refusal():
    refusal = {"choices": [{"delta": {"content": None, "refusal": "No."}}]}
    chunks = stream(refusal, piece(finish_reason="stop"))
    assert chunks == [Chunk("No."), Chunk(finish_reason="refusal")]


def test_words_between_chunks_are_no_content():
    assert stream(piece("a"), "keep-alive", piece(finish_reason="stop"))[0].text == "a"


@pytest.mark.parametrize("payload", ['{"choices": [', "{}}", '{"choices": NaN}'])
def test_a_broken_chunk_is_an_error(payload):
    with pytest.raises(WireError):
        stream(piece("a"), payload)


def test_an_error_event_is_a_fault():
    with pytest.raises(UpstreamFaultError):
        stream(piece("a"), {"error": {"message": "m", "type": "server_error"}})


@pytest.mark.parametrize("ending", [[], ["[DONE]"]])
def test_a_stream_without_finish_reason_is_not_whole(ending):
    with pytest.raises(WireError, match="finish reason"):
        stream(piece("a"), *ending)


def test_nothing_is_read_after_done():
    decoder = DIALECT.stream_decoder()
    assert not decoder.done
    assert decoder.feed(b'data: [DONE]\n\ndata: {"error": {}}\n\n') == []
    assert decoder.done


@given(st.text(max_size=40), st.integers(1, 7), st.integers(1, 30))
def test_streamed_and_whole_give_the_same_text(text, size, cut):
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    events = [piece(each) for each in pieces] + [piece(finish_reason="stop")]
    data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    decoder = DIALECT.stream_decoder()
    chunks = [
        chunk
        for start in range(0, len(data), cut)
        for chunk in decoder.feed(data[start : start + cut])
    ]
    decoder.close()
    assert "".join(chunk.text for chunk in chunks) == text
    assert decode(answer(content=text)).text == text


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists))
def test_no_json_in_any_place_raises_anything_else(value):
    keys = ("choices", "usage", "error", "model")
    choice = {"delta": value, "finish_reason": value}
    for body in (dict.fromkeys(keys, value), {"choices": [{"message": value}]}):
        with suppress(WireError):
            decode(body)
        with suppress(WireError):
            stream(body, {"choices": [choice]})


def test_an_error_beside_choices_is_a_fault():
    with pytest.raises(UpstreamFaultError):
        decode({**answer(), "error": {"message": "m", "type": "server_error"}})

import orjson
import pytest
from openai.types import Completion

from llm_proxy.errors import InvalidInputError, NotFoundError, UnsupportedFeatureError
from llm_proxy.types import (
    ChatRequest,
    ChatResponse,
    Chunk,
    Media,
    Message,
    ResponseFormat,
    Text,
    Tool,
    Usage,
    said,
)
from llm_proxy.wire.dialect import Passage
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.openai_completions import (
    OpenAICompletions,
    OpenAICompletionsSurface,
)
from llm_proxy.wire.surface import Asked

DIALECT = OpenAICompletions()
SURFACE = OpenAICompletionsSurface()
WANTED = {"stream_options": {"include_usage": True}}
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2}
USAGE = Usage(3, 2, source="provider")
TOKEN = {
    "token": "Hi",
    "logprob": -0.5,
    "bytes": None,
    "top_logprobs": [{"token": "Hi", "logprob": -0.5}],
}


def asked(**fields):
    return Asked("abc", 1700000000, "asked-model", fields)


def decode(**fields):
    return SURFACE.decode_request({"model": "m", "prompt": "Hello", **fields})


def test_a_prompt_is_what_the_user_says():
    assert decode() == ChatRequest((said("user", "Hello"),), max_tokens=16)
    assert decode(prompt=["Hello"]) == decode()


def test_every_option_has_its_field():
    fields = {
        "max_tokens": 5,
        "temperature": 0,
        "top_p": 0.5,
        "stop": ["a"],
        "seed": 1,
        "frequency_penalty": 1,
        "presence_penalty": -1,
        "logit_bias": {"1": 2},
        "logprobs": 3,
        "user": "u",
    }
    request = decode(**fields)
    body, dropped = DIALECT.encode_request("m", request, True)

    assert dropped == ()
    assert orjson.loads(body) == {
        "model": "m",
        "prompt": "Hello",
        **fields,
        "stream": True,
        **WANTED,
    }
    assert decode(**fields, model="m", stream=True, future=1).unknown == ("future",)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("n", {"n": 2}),
        ("best_of", {"best_of": 2}),
        ("echo", {"echo": True}),
        ("suffix", {"suffix": "end"}),
        ("prompt", {"prompt": ["a", "b"]}),
        ("prompt", {"prompt": [1, 2]}),
        ("prompt", {"prompt": [[1, 2]]}),
    ],
)
def test_what_chat_cannot_do_is_refused(field, fields):
    with pytest.raises(UnsupportedFeatureError) as caught:
        decode(**fields)
    assert caught.value.details[0]["field"] == field
    SURFACE.check_request({"prompt": "Hello", **fields})


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("prompt", {"prompt": None}),
        ("prompt", {"prompt": []}),
        ("prompt", {"prompt": 1}),
        ("stream", {"stream": 1}),
        ("stream_options", {"stream_options": []}),
        ("logprobs", {"logprobs": True}),
        ("best_of", {"best_of": "x"}),
        ("echo", {"echo": 1}),
    ],
)
def test_a_wrong_field_is_named(field, fields):
    with pytest.raises(InvalidInputError) as caught:
        decode(**fields)
    assert type(caught.value) is InvalidInputError
    assert caught.value.details[0]["field"] == field


@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest((said("system", "a"), said("user", "b"))),
        ChatRequest((Message("user", (Media("image", url="u"),)),)),
        ChatRequest((said("user", "a"),), tools=(Tool("f"),)),
        ChatRequest((said("user", "a"),), response_format=ResponseFormat()),
    ],
)
def test_an_upstream_is_asked_for_one_text_only(request_):
    with pytest.raises(UnsupportedFeatureError, match="openai_completions"):
        DIALECT.encode_request("m", request_, False)


def test_knobs_that_the_older_api_lacks_are_dropped_and_named():
    request = ChatRequest((said("user", "a"),), top_k=1, verbosity="low")
    assert DIALECT.encode_request("m", request, False).dropped == ("top_k", "verbosity")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("tool_calls", "stop"),
    ],
)
def test_an_answer_has_all_that_the_vendors_has(ours, theirs):
    response = ChatResponse((Text("Hi"),), "m", ours, USAGE, logprobs=(TOKEN,))
    body = SURFACE.encode_response(response, asked())

    assert orjson.loads(body) == {
        "id": "cmpl-abc",
        "object": "text_completion",
        "created": 1700000000,
        "model": "m",
        "choices": [
            {
                "text": "Hi",
                "index": 0,
                "logprobs": {
                    "tokens": ["Hi"],
                    "token_logprobs": [-0.5],
                    "top_logprobs": [{"Hi": -0.5}],
                    "text_offset": [0],
                },
                "finish_reason": theirs,
            }
        ],
        "usage": {
            **COUNTS,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    Completion.model_validate_json(body, strict=True)


CHUNKS = [
    Chunk(model="m"),
    Chunk("Hi", logprobs=(TOKEN,)),
    Chunk(" you", logprobs=({**TOKEN, "token": " you"},)),
    Chunk(finish_reason="stop"),
    Chunk(usage=USAGE),
]


def write(**fields):
    encoder = SURFACE.stream_encoder(asked(**fields))
    return encoder.feed(CHUNKS) + encoder.close()


def events(data):
    *written, done, _ = data.split(b"\n\n")
    assert done == b"data: [DONE]"
    return [orjson.loads(each.removeprefix(b"data: ")) for each in written]


def test_a_stream_is_written_event_by_event():
    first, second, finish, usage = events(write(**WANTED))

    assert [each["choices"][0]["text"] for each in (first, second, finish)] == [
        "Hi",
        " you",
        "",
    ]
    assert second["choices"][0]["logprobs"]["text_offset"] == [2]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (first["model"], first["usage"]) == ("m", None)
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 5)


def test_usage_is_hidden_from_who_did_not_ask():
    assert all("usage" not in each for each in events(write()))
    assert len(events(write())) == 3


def test_streamed_and_whole_are_the_same():
    response = ChatResponse((Text("Hi you"),), "m", "stop", USAGE)
    whole = SURFACE.encode_response(response, asked())

    assert gather(DIALECT.stream_decoder().feed(write(**WANTED))) == response
    assert DIALECT.decode_response(whole) == response


def test_bytes_pass_as_they_are():
    body = b'{"model":"a","prompt":[1,2],"stream":true,"new":1}'
    sent = DIALECT.relay_request(body, orjson.loads(body), "theirs")
    assert sent == (
        b'{"model":"theirs","prompt":[1,2],"stream":true,"new":1,'
        b'"stream_options":{"include_usage":true}}'
    )

    whole = SURFACE.encode_response(
        ChatResponse((Text("Hi"),), "m", "stop", USAGE), asked()
    )
    assert DIALECT.observe(whole) == Passage(whole, True, "stop", USAGE, "m")

    data = write(**WANTED)
    reader = DIALECT.passage_reader(WANTED)
    assert b"".join(each.data for each in reader.feed(data)) == data
    assert reader.done


def test_requests_and_errors_go_the_known_ways():
    assert DIALECT.path("m", stream=False) == "/completions"
    assert DIALECT.decode_error(b'{"error": {"message": "m"}}').message == "m"
    status, body = SURFACE.encode_error(NotFoundError(), "req")
    assert (status, body["error"]["type"]) == (404, "invalid_request_error")
    assert SURFACE.error_event(NotFoundError(), "req").startswith(b'data: {"error"')

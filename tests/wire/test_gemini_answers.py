"""How complete answers of the Gemini API are read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import ChatResponse, Text, Thinking, ToolCall, Usage
from llm_proxy.wire import UpstreamFaultError, WireError
from llm_proxy.wire.gemini import Gemini

from .strategies import JSON_VALUES, TEXTS

FIXTURES = Path(__file__).parent / "fixtures" / "gemini"
TEMPERATURE = "get_current_temperature"


def fixture(name):
    return (FIXTURES / f"{name}.json").read_bytes()


def decode(value):
    return Gemini().decode_response(json.dumps(value).encode())


def answer(*parts, reason="STOP", **fields):
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reason}
    return {"candidates": [candidate], "responseId": "r", **fields}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "answer",
            ChatResponse(
                (Text("AI learns patterns from data, then uses them to predict."),),
                "gemini-2.5-flash",
                "stop",
                Usage(8, 12, source="provider"),
            ),
        ),
        (
            "answer_tools",
            ChatResponse(
                (
                    ToolCall(
                        "call_Paris-and_London_0",
                        TEMPERATURE,
                        '{"location":"Paris"}',
                        signature="UGFyaXM/Pz8+",
                    ),
                    ToolCall(
                        "fc_london", TEMPERATURE, '{"location":"London","days":2}'
                    ),
                    ToolCall("call_Paris-and_London_2", "get_time", "{}"),
                ),
                "gemini-3-flash-preview",
                "tool_calls",
                Usage(72, 78, reasoning_tokens=60, source="provider"),
            ),
        ),
        (
            "answer_thinking",
            ChatResponse(
                (
                    Thinking("**Adding the primes**\n\nTwo, three, five and so on."),
                    Text("The sum is 5117."),
                    Thinking("", "gemini:cHJpbWVz"),
                ),
                "gemini-3-flash-preview",
                "stop",
                Usage(2130, 320, 2048, 0, 311, "provider"),
            ),
        ),
        (
            "answer_logprobs",
            ChatResponse(
                (Text("Yé"),),
                "gemini-2.0-flash",
                "length",
                Usage(4, 2, source="provider"),
                logprobs=(
                    {
                        "token": "Y",
                        "logprob": -0.1,
                        "bytes": [89],
                        "top_logprobs": [
                            {"token": "Y", "logprob": -0.1, "bytes": [89]},
                            {"token": "N", "logprob": -2.5, "bytes": [78]},
                        ],
                    },
                    {
                        "token": "é",
                        "logprob": 0,
                        "bytes": [195, 169],
                        "top_logprobs": [
                            {"token": "é", "logprob": 0, "bytes": [195, 169]}
                        ],
                    },
                ),
            ),
        ),
        (
            "blocked_prompt",
            ChatResponse(
                (),
                "gemini-2.5-flash",
                "content_filter",
                Usage(7, source="provider"),
            ),
        ),
        (
            "blocked_answer",
            ChatResponse(
                (),
                "gemini-2.5-flash",
                "content_filter",
                Usage(11, source="provider"),
            ),
        ),
    ],
)
def test_what_google_sends_is_read(name, expected):
    assert Gemini().decode_response(fixture(name)) == expected


class TestFinishReason:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("SAFETY", "content_filter"),
            ("RECITATION", "content_filter"),
            ("LANGUAGE", "content_filter"),
            ("BLOCKLIST", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("SPII", "content_filter"),
            ("IMAGE_SAFETY", "content_filter"),
            ("OTHER", "content_filter"),
            ("SOMETHING_NEW", "stop"),
        ],
    )
    def test_each_is_read(self, theirs, ours):
        assert decode(answer({"text": "a"}, reason=theirs)).finish_reason == ours

    @pytest.mark.parametrize(
        ("theirs", "ours"), [("STOP", "tool_calls"), ("MAX_TOKENS", "length")]
    )
    def test_calls_are_why_an_answer_stops(self, theirs, ours):
        called = answer({"functionCall": {"name": "f"}}, reason=theirs)
        assert decode(called).finish_reason == ours

    def test_a_call_that_went_wrong_is_no_answer(self):
        with pytest.raises(WireError, match="MALFORMED_FUNCTION_CALL"):
            Gemini().decode_response(fixture("failed_call"))

    def test_none_is_no_end(self):
        with pytest.raises(WireError, match="finish reason"):
            decode(answer({"text": "a"}, reason=None))


class TestUsage:
    @pytest.mark.parametrize(
        "nonsense",
        [
            {"promptTokenCount": 5, "candidatesTokenCount": -5},
            {"promptTokenCount": 5, "candidatesTokenCount": 10**18},
            {"promptTokenCount": 5, "thoughtsTokenCount": "5"},
            {"promptTokenCount": 5, "candidatesTokenCount": True},
            {"promptTokenCount": 5, "cachedContentTokenCount": 6},
            {},
            [],
            None,
        ],
    )
    def test_nonsense_is_none(self, nonsense):
        assert decode(answer(usageMetadata=nonsense)).usage == Usage()


class TestCalls:
    @pytest.mark.parametrize("response_id", [None, 5, "", "a b", "x" * 31])
    def test_ids_are_unique_without_a_response_id(self, response_id):
        call = {"functionCall": {"name": "f", "args": {}}}
        body = answer(call, call, responseId=response_id)
        ids = [part.id for one in (body, body) for part in decode(one).parts]
        assert len(set(ids)) == 4
        assert all(id_.startswith("call_") for id_ in ids)

    @pytest.mark.parametrize(
        "call", [None, {}, {"name": 5}, {"name": ""}, {"name": "f", "args": [1]}]
    )
    def test_half_a_call_is_no_answer(self, call):
        with pytest.raises(WireError):
            decode(answer({"functionCall": call}))


def test_the_signature_of_a_text_is_left_out_where_no_thoughts_are_shown():
    signed = answer({"text": "a", "thoughtSignature": "AA=="})
    assert decode(signed).parts == (Text("a"),)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"candidates": []}', b"\xff"])
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        Gemini().decode_response(body)


@pytest.mark.parametrize(
    "lost",
    [
        answer({"text": "a"}, {"text": 42}),
        answer({"text": {"text": ["a"]}}),
        answer({"text": 42, "thought": True}),
        answer({"text": "a"}, 42),
        {"candidates": 42},
        {"candidates": [42]},
        {"candidates": [{"content": 42, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": 42}, "finishReason": "STOP"}]},
    ],
)
def test_a_piece_that_cannot_be_read_is_an_error(lost):
    reader = Gemini().stream_decoder()
    with pytest.raises(WireError):
        decode(lost)
    with pytest.raises(WireError, match="is not"):
        reader.feed(b"data: %b\n\n" % json.dumps(lost).encode())


@pytest.mark.parametrize("part", [{"text": None}, {"new": 42}, {}])
def test_a_part_may_be_empty_or_new(part):
    assert decode(answer({"text": "a"}, part)).text == "a"


def test_an_error_inside_a_success_is_a_fault():
    with pytest.raises(UpstreamFaultError) as caught:
        Gemini().decode_response(fixture("error_429"))
    assert caught.value.detail.status == 429


# What may stand where something is expected, right and wrong.
ODD = st.recursive(
    JSON_VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                *("candidates", "content", "parts", "text", "thought"),
                *("thoughtSignature", "functionCall", "name", "args", "id"),
                *("finishReason", "logprobsResult", "chosenCandidates", "token"),
                *("topCandidates", "logProbability", "usageMetadata"),
                *("promptTokenCount", "promptFeedback", "blockReason", "responseId"),
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=20,
)


@given(ODD)
def test_nothing_else_is_raised_for_a_strange_answer(value):
    try:
        decode(answer(value, finishReason=value, logprobsResult=value) | {"x": value})
        decode(value)
    except WireError:
        pass


@given(st.dictionaries(TEXTS, JSON_VALUES, max_size=2))
def test_what_is_unknown_is_ignored(extra):
    part = extra | {"text": "a"}
    extra_candidate = extra | answer(part)["candidates"][0]
    body = extra | {"candidates": [extra_candidate, {"content": 5}]}
    assert decode(body).parts == (Text("a"),)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("error_400", 400, "invalid_argument"),
            ("error_400_key", 400, "invalid_argument api_key_invalid"),
            ("error_400_too_long", 400, "invalid_argument"),
            ("error_403", 403, "permission_denied"),
            ("error_404", 404, "not_found"),
            ("error_429", 429, "resource_exhausted"),
            ("error_500", 500, "internal"),
            ("error_503", 503, "unavailable"),
            ("error_504", 504, "deadline_exceeded"),
        ],
    )
    def test_each_is_read(self, name, status, code):
        body = json.loads(fixture(name))
        error = (body[0] if isinstance(body, list) else body)["error"]
        detail = Gemini().decode_error(fixture(name))
        assert (detail.status, detail.code) == (status, code)
        assert detail.message == error["message"]
        assert detail.words.type == error["status"]

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("INVALID_ARGUMENT", 400),
            ("FAILED_PRECONDITION", 400),
            ("UNAUTHENTICATED", 401),
            ("PERMISSION_DENIED", 403),
            ("NOT_FOUND", 404),
            ("RESOURCE_EXHAUSTED", 429),
            ("INTERNAL", 500),
            ("UNAVAILABLE", 503),
            ("DEADLINE_EXCEEDED", 504),
            ("SOMETHING_NEW", None),
        ],
    )
    def test_the_word_tells_the_status_where_no_number_does(self, word, status):
        body = json.dumps({"error": {"status": word, "message": "m"}}).encode()
        assert Gemini().decode_error(body).status == status

    @given(st.binary() | ODD.map(lambda value: json.dumps({"error": value}).encode()))
    def test_anything_else_is_no_error_of_ours(self, body):
        assert Gemini().decode_error(body).code == ""

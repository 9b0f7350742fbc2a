"""How streamed answers of the Gemini API are read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import Chunk, ThinkingDelta, ToolCallDelta, Usage
from llm_proxy.wire import UpstreamFaultError, WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.gemini import Gemini

from .strategies import JSON_OBJECTS, NAMES, TEXTS, cut

FIXTURES = Path(__file__).parent / "fixtures" / "gemini"
SIGNATURE = "UGFyaXM/Pz8+"


def fixture(name):
    return (FIXTURES / name).read_bytes()


def read(*pieces):
    decoder = Gemini().stream_decoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return [*chunks, *decoder.close()]


def event(*parts, **candidate):
    content = {"role": "model", "parts": parts}
    value = {"candidates": [{"content": content, **candidate}]}
    return f"data: {json.dumps(value)}\n\n".encode()


HELLO = event({"text": "Hello"}, finishReason="STOP")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("stream", "answer"),
        ("stream_tools", "answer_tools"),
        ("stream_thinking", "answer_thinking"),
        ("stream_blocked", "blocked_prompt"),
    ],
)
def test_a_stream_says_what_the_answer_says(name, answer):
    whole = Gemini().decode_response(fixture(f"{answer}.json"))
    assert gather(read(fixture(f"{name}.sse"))) == whole


def test_text_comes_as_it_grows_and_the_end_last():
    assert read(fixture("stream.sse")) == [
        Chunk(model="gemini-2.5-flash", usage=Usage(8, 2, source="provider")),
        Chunk("AI learns"),
        Chunk(" patterns from data, then"),
        Chunk(" uses them to predict."),
        Chunk(finish_reason="stop", usage=Usage(8, 12, source="provider")),
    ]


def test_calls_come_whole():
    calls = [chunk.delta for chunk in read(fixture("stream_tools.sse"))[1:-1]]
    id_ = "call_Paris-and_London"
    tool = "get_current_temperature"
    paris, london = '{"location":"Paris"}', '{"location":"London","days":2}'
    assert calls == [
        ToolCallDelta(0, f"{id_}_0", tool, paris, signature=SIGNATURE),
        ToolCallDelta(1, "fc_london", tool, london),
        ToolCallDelta(2, f"{id_}_2", "get_time", "{}"),
    ]


def test_thoughts_come_as_they_grow():
    deltas = [chunk.delta for chunk in read(fixture("stream_thinking.sse"))]
    assert [delta for delta in deltas if delta] == [
        ThinkingDelta("**Adding the primes**\n\nTwo, three, five "),
        ThinkingDelta("and so on."),
        ThinkingDelta("", "gemini:cHJpbWVz"),
    ]


def test_a_finish_reason_on_every_event_ends_the_answer_once():
    chunks = read(event({"text": "a"}, finishReason="STOP"), HELLO)
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert gather(chunks).text == "aHello"


@pytest.mark.parametrize(
    "end",
    [
        event({"text": "cut"}, finishReason="MAX_TOKENS"),
        event({"text": "cut"}, finishReason="SAFETY"),
        b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n',
    ],
)
@pytest.mark.parametrize("in_one_read", [True, False])
def test_nothing_counts_behind_the_event_that_cuts_an_answer_off(end, in_one_read):
    usage = b'data: {"usageMetadata": {"candidatesTokenCount": 1000}}\n\n'
    behind = HELLO + usage + (FIXTURES / "error_503.json").read_bytes()
    pieces = [end + behind] if in_one_read else [end, behind]
    assert gather(read(*pieces)) == gather(read(end))


def test_probabilities_stand_with_their_text():
    logprobs = {"chosenCandidates": [{"token": "a", "logProbability": -1.5}]}
    chunks = read(
        event({"text": "a"}, logprobsResult=logprobs),
        event({"text": ""}, logprobsResult=logprobs, finishReason="STOP"),
    )
    told = [(chunk.text, len(chunk.logprobs)) for chunk in chunks if chunk.logprobs]
    assert told == [("a", 1), ("", 1)]


@pytest.mark.parametrize(
    "noise",
    [
        b": comment\n\n",
        b"event: ping\ndata: {}\n\n",
        b"data: heartbeat\n\n",
        b'data: {"never": "heard"}\n\n',
        b"data: {cut}\n\n",
        b"data: [DONE]\n\n",
        b"data: []\n\n",
        b"data: null\n\n",
    ],
)
def test_noise_is_skipped(noise):
    assert gather(read(noise, HELLO, noise)).text == "Hello"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "finish reason"),
        (event({"text": "a"}), "finish reason"),
        (b'data: {"candidates": [{"conte\n\n' + HELLO, "not JSON"),
        (b"x" * (2 << 20), "too long"),
        (event(finishReason="MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
        (event({"functionCall": {}}), "name"),
    ],
)
def test_what_is_not_whole_is_an_error(data, message):
    with pytest.raises(WireError, match=message):
        read(data)


class TestErrors:
    TEXT = event({"text": "a"})
    ERROR = (FIXTURES / "error_503.json").read_bytes()
    PLAIN = (FIXTURES / "error_429.json").read_bytes()

    def status(self, *pieces):
        with pytest.raises(UpstreamFaultError) as caught:
            read(*pieces)
        return caught.value.detail.status

    def test_an_event_may_be_one(self):
        assert self.status(fixture("stream_error.sse")) == 503

    def test_an_event_may_be_a_list(self):
        data = b"data: " + json.dumps(json.loads(self.ERROR)).encode() + b"\n\n"
        assert self.status(data) == 503

    @given(st.data())
    def test_it_may_stand_there_without_being_an_event(self, data):
        ends = data.draw(st.sampled_from([b"", b"\n", b"\r\n\r\n"]))
        error, status = data.draw(
            st.sampled_from([(self.ERROR, 503), (self.PLAIN, 429)])
        )
        assert self.status(*data.draw(cut(self.TEXT + error.strip() + ends))) == status

    def test_an_answer_may_speak_of_errors(self):
        text = '\n{\n  "error": {"code": 500}}\n'
        said = event({"text": text}, finishReason="STOP")
        assert gather(read(said)).text == text


PARTS = st.one_of(
    st.fixed_dictionaries(
        {"text": TEXTS}, optional={"thought": st.booleans(), "thoughtSignature": NAMES}
    ),
    st.fixed_dictionaries(
        {
            "functionCall": st.fixed_dictionaries(
                {"name": NAMES}, optional={"args": JSON_OBJECTS, "id": NAMES}
            )
        },
        optional={"thoughtSignature": NAMES},
    ),
)
ENDS = st.sampled_from(["\n\n", "\r\n\r\n", "\n: ping\n\n"])


def halves(part):
    """A part as two events of a stream may bring it."""
    if len(part.get("text", "")) < 2:
        return [part]
    first = {name: part[name] for name in part if name != "thoughtSignature"}
    return [first | {"text": part["text"][:1]}, part | {"text": part["text"][1:]}]


@given(st.data())
def test_what_is_streamed_equals_what_is_not(data):
    parts = data.draw(st.lists(PARTS, max_size=5))
    reason = data.draw(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]))
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    common = {"modelVersion": "m", "responseId": "r"}

    def answer(*said, **fields):
        return {"candidates": [{"content": {"parts": said}, **fields}], **common}

    whole = answer(*parts, finishReason=reason) | {"usageMetadata": usage}
    pieces = [answer(half) for part in parts for half in halves(part)]
    last = answer(finishReason=reason) | {"usageMetadata": usage}
    stream = "".join(
        f"data: {json.dumps(piece)}{data.draw(ENDS)}" for piece in [*pieces, last]
    )
    streamed = gather(read(*data.draw(cut(stream.encode()))))
    assert streamed == Gemini().decode_response(json.dumps(whole).encode())


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_are_an_answer_or_an_error(pieces):
    with pytest.raises(WireError):
        read(*pieces)

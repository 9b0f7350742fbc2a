"""What is read of requests and of answers to count their tokens."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.strategies import CHARACTERS, JSON_VALUES

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
from llm_proxy.wire import (
    AnthropicSurface,
    Asked,
    OpenAIChatSurface,
    OpenAICompletionsSurface,
    OpenAIResponsesSurface,
    asked_texts,
    delivered_texts,
)

SURFACES = {
    surface.name: surface
    for surface in (
        AnthropicSurface(),
        OpenAIChatSurface(),
        OpenAICompletionsSurface(),
        OpenAIResponsesSurface(),
    )
}
ASKED = Asked("1", 1_700_000_000, "gpt-4o", {})
PIECES = st.lists(st.text(CHARACTERS, min_size=1, max_size=20), min_size=1, max_size=6)
IMAGE = "iVBORw0KGgo="


def streamed(name: str, chunks: list[Chunk]) -> bytes:
    """An answer without its end, as a caller in that dialect gets it."""
    return SURFACES[name].stream_encoder(ASKED).feed(chunks)


def whole(name: str, *parts) -> bytes:
    response = ChatResponse(parts, "gpt-4o", "stop", Usage())
    return SURFACES[name].encode_response(response, ASKED)


class TestAsked:
    @pytest.mark.parametrize(
        ("fields", "texts"),
        [
            ({"prompt": "a"}, ["a"]),
            ({"prompt": ["a", "b"], "suffix": "c"}, ["a", "b", "c"]),
            ({"prompt": [[1, 2], [3]]}, []),
            ({"input": ["a", "b"]}, ["a", "b"]),
            ({"messages": [{"role": "user", "content": "a"}]}, ["a"]),
            (
                {
                    "messages": [
                        {"role": "system", "content": "a"},
                        {"role": "user", "name": "b", "content": [{"text": "c"}]},
                        {"role": "assistant", "content": None, "refusal": "d"},
                        {"role": "assistant", "reasoning_content": "e"},
                    ]
                },
                ["a", "b", "c", "d", "e"],
            ),
            (
                {
                    "messages": [
                        {
                            "role": "assistant",
                            "tool_calls": [
                                {"function": {"name": "a", "arguments": "{}"}}
                            ],
                        },
                        {"role": "tool", "tool_call_id": "x", "content": "b"},
                    ]
                },
                ["a", "b", "{}"],
            ),
            (
                {
                    "system": [{"type": "text", "text": "a"}],
                    "messages": [
                        {
                            "role": "assistant",
                            "content": [
                                {"type": "thinking", "thinking": "b", "signature": "x"},
                                {"type": "tool_use", "name": "c", "input": {"d": 1}},
                            ],
                        },
                        {
                            "role": "user",
                            "content": [
                                {
                                    "type": "tool_result",
                                    "content": [{"type": "text", "text": "e"}],
                                },
                                {
                                    "type": "document",
                                    "title": "f",
                                    "source": {"type": "text", "data": "g"},
                                },
                                {
                                    "type": "document",
                                    "source": {
                                        "type": "content",
                                        "content": [{"type": "text", "text": "h"}],
                                    },
                                },
                            ],
                        },
                    ],
                },
                ["a", "b", "c", "e", "f", "g", "h", '{"d":1}'],
            ),
            (
                {
                    "instructions": "a",
                    "input": [
                        {"role": "user", "content": [{"text": "b"}]},
                        {"type": "reasoning", "summary": [{"text": "c"}]},
                        {"type": "function_call", "name": "d", "arguments": "{}"},
                        {"type": "function_call_output", "output": "e"},
                        {"type": "custom_tool_call", "name": "f", "input": "g"},
                    ],
                },
                ["a", "b", "c", "d", "e", "f", "g", "{}"],
            ),
            ({"tools": [{"name": "a"}], "input": "b"}, ["b", '[{"name":"a"}]']),
            (
                {"text": {"format": {"type": "text"}}},
                ['{"format":{"type":"text"}}'],
            ),
        ],
    )
    def test_all_texts_of_a_request(self, fields, texts):
        assert sorted(asked_texts(fields)) == sorted(texts)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "image_url", "image_url": {"url": f"data:{IMAGE}"}},
            {"type": "input_image", "image_url": f"data:{IMAGE}"},
            {"type": "input_audio", "input_audio": {"data": IMAGE}},
            {"type": "file", "file": {"file_data": IMAGE}},
            {"type": "image", "source": {"type": "base64", "data": IMAGE}},
            {"type": "document", "source": {"type": "base64", "data": IMAGE}},
            {"type": "redacted_thinking", "data": IMAGE},
        ],
    )
    def test_files_are_no_texts(self, part):
        assert [*asked_texts({"messages": [{"content": [part]}]})] == []

    @given(
        st.dictionaries(
            st.sampled_from(["messages", "input", "prompt", "system", "tools", "text"]),
            JSON_VALUES,
        )
    )
    def test_nothing_is_refused(self, fields):
        assert all(isinstance(text, str) and text for text in asked_texts(fields))


class TestDelivered:
    @pytest.mark.parametrize("name", SURFACES)
    @given(pieces=PIECES)
    def test_all_pieces_of_a_stream_are_read(self, name, pieces):
        data = streamed(name, [Chunk(piece) for piece in pieces])
        assert delivered_texts(name, data) == "".join(pieces)

    @pytest.mark.parametrize(
        "name", ["anthropic_messages", "openai_chat", "openai_responses"]
    )
    @given(pieces=PIECES)
    def test_thoughts_and_calls_are_read(self, name, pieces):
        chunks = [Chunk(delta=ThinkingDelta(piece)) for piece in pieces]
        calls = [ToolCallDelta(0, "call_1", "look_up")]
        calls += [ToolCallDelta(0, arguments=piece) for piece in pieces]
        chunks += [Chunk(delta=call) for call in calls]
        told = delivered_texts(name, streamed(name, chunks)).replace("look_up", "")
        assert told == 2 * "".join(pieces)

    @pytest.mark.parametrize("name", SURFACES)
    @given(texts=st.lists(st.text(CHARACTERS, min_size=1), min_size=1, max_size=1))
    def test_whole_answers_are_read(self, name, texts):
        assert delivered_texts(name, whole(name, Text(texts[0]))) == texts[0]

    @pytest.mark.parametrize(
        "name", ["anthropic_messages", "openai_chat", "openai_responses"]
    )
    def test_whole_answers_have_thoughts_and_calls(self, name):
        call = ToolCall("call_1", "look_up", '{"city":"Bonn"}')
        told = delivered_texts(name, whole(name, Thinking("Hm."), Text("So:"), call))
        for text in ("Hm.", "So:", "look_up", '{"city":"Bonn"}'):
            assert told.count(text) == 1

    @pytest.mark.parametrize("name", SURFACES)
    @given(pieces=PIECES, data=st.data())
    def test_streams_may_be_cut_off_anywhere(self, name, pieces, data):
        stream = streamed(name, [Chunk(piece) for piece in pieces])
        cut = data.draw(st.integers(0, len(stream)))
        told = delivered_texts(name, stream[:cut])
        # Half of a character is all that can be wrong.
        told = told.removesuffix("\N{REPLACEMENT CHARACTER}")
        assert "".join(pieces).startswith(told)

    @pytest.mark.parametrize("name", SURFACES)
    def test_cuts_between_events_lose_nothing(self, name):
        stream = streamed(name, [Chunk(f"w{number} ") for number in range(9)])
        events = [event + b"\n\n" for event in stream.split(b"\n\n")[:-1]]
        told = [
            delivered_texts(name, b"".join(events[:count]))
            for count in range(len(events) + 1)
        ]
        assert told[-1] == "".join(f"w{number} " for number in range(9))
        assert all(a == b or b.startswith(f"{a}w") for a, b in pairwise(told))

    @pytest.mark.parametrize("name", SURFACES)
    @given(cut=st.floats(0, 1))
    def test_whole_answers_may_be_cut_off_anywhere(self, name, cut):
        answer = whole(name, Text("Some words. " * 20))
        told = delivered_texts(name, answer[: int(len(answer) * cut)])
        assert ("Some words. " * 20).startswith(told)

    @pytest.mark.parametrize("name", [*SURFACES, "gemini", ""])
    @given(
        st.binary()
        | st.text().map(str.encode)
        | JSON_VALUES.map(
            lambda value: json.dumps({"choices": value, "output": value}).encode()
        )
    )
    @example(b"{" * 100_000)
    @example(b'{"content":' + b"[" * 5000 + b"]" * 5000 + b"}")
    @example(b'data: {"content":"\\ud83d"}\n\n')
    @example(b'data: {"content":"\xff\xfe\x00"}\n\n')
    def test_nothing_is_refused(self, name, data):
        told = delivered_texts(name, data)
        assert told.encode(errors="strict") is not None

    def test_thoughts_under_two_names_count_once(self):
        delta = {"reasoning": "Hm.", "reasoning_content": "Hm."}
        event = {"choices": [{"delta": delta}]}
        data = b"data: %b\n\n" % json.dumps(event).encode()
        assert delivered_texts("openai_chat", data) == "Hm."
        answer = json.dumps({"choices": [{"message": delta}]}).encode()
        assert delivered_texts("openai_chat", answer) == "Hm."

    def test_what_texts_say_is_not_taken_for_an_event(self):
        text = 'data: {"choices":[{"delta":{"content":"no"}}]}\n\n'
        data = streamed("openai_chat", [Chunk(text)])
        assert delivered_texts("openai_chat", data) == text

    def test_the_end_of_a_response_is_not_read_twice(self):
        encoder = SURFACES["openai_responses"].stream_encoder(ASKED)
        data = encoder.feed([Chunk("Hello"), Chunk(finish_reason="stop")])
        data += encoder.close()
        assert data.count(b"Hello") > 1
        assert delivered_texts("openai_responses", data) == "Hello"

    @pytest.mark.parametrize("times", [1.5, 2, 20])
    def test_long_streams_are_taken_to_go_on_as_they_begin(self, times):
        *_, event, _ = streamed("openai_chat", [Chunk("word " * 100)]).split(b"\n\n")
        event += b"\n\n"
        count = int(times * (1 << 20) / len(event))
        told = delivered_texts("openai_chat", event * count)
        assert len(told) == pytest.approx(500 * count, rel=0.01)

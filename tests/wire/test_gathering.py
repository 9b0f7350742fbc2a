import pytest
from hypothesis import given
from hypothesis import strategies as st
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
from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.scattering import scatter

END = Chunk(finish_reason="stop")


def parts(*chunks):
    return gather([*chunks, END]).parts


@given(st.data())
def test_what_is_streamed_is_gathered(data):
    response = data.draw(
        canonical.responses(
            thinking=canonical.signed_thinking(), calls=canonical.tool_calls()
        )
    )
    assert gather(data.draw(canonical.chunks_of(response))) == response
    assert gather(scatter(response)) == response


def test_texts_that_are_neighbours_are_one():
    assert parts(Chunk("a"), Chunk(), Chunk("b")) == (Text("ab"),)


def test_proof_ends_thoughts():
    assert parts(
        Chunk(delta=ThinkingDelta("a")),
        Chunk(delta=ThinkingDelta("b", "s")),
        Chunk(delta=ThinkingDelta("c", encrypted="e")),
        Chunk(delta=ThinkingDelta("d")),
        Chunk(delta=ThinkingDelta()),
    ) == (Thinking("ab", "s"), Thinking("c", "", "e"), Thinking("d"))


def test_calls_may_be_interleaved_and_keep_the_order_of_their_beginnings():
    assert parts(
        Chunk(delta=ToolCallDelta(1, "1", "f", custom=True)),
        Chunk(delta=ToolCallDelta(0, "2", "g")),
        Chunk(delta=ToolCallDelta(1, arguments="a", signature="s")),
        Chunk("text"),
        Chunk(delta=ToolCallDelta(0, arguments="{}")),
        Chunk(delta=ToolCallDelta(1, arguments="b")),
    ) == (
        ToolCall("1", "f", "ab", custom=True, signature="s"),
        ToolCall("2", "g", "{}"),
        Text("text"),
    )


def test_in_one_chunk_thoughts_come_first_and_calls_last():
    assert parts(
        Chunk("a", delta=ThinkingDelta("t")),
        Chunk("b", delta=ToolCallDelta(0, "1", "f")),
    ) == (Thinking("t"), Text("ab"), ToolCall("1", "f", ""))


def test_later_reports_replace_earlier_ones():
    usage = Usage(3, 4, source="provider")
    chunks = [
        Chunk(model="m", usage=Usage(1)),
        Chunk("a", "length", stop_sequence="END", logprobs=({"token": "a"},)),
        Chunk("b", logprobs=({"token": "b"},)),
        Chunk(usage=usage),
    ]
    assert gather(chunks) == ChatResponse(
        (Text("ab"),), "m", "length", usage, "END", ({"token": "a"}, {"token": "b"})
    )


def test_a_stream_without_finish_reason_is_not_whole():
    with pytest.raises(WireError):
        gather([Chunk("a")])

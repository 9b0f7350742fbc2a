import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.sse import (
    EventTooLargeError,
    ServerSentEvent,
    SSEDecoder,
    WholeEvents,
    split_events,
)

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20
)


def decode(data: bytes, *, cut: int | None = None) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    if cut is None:
        return decoder.feed(data)
    events: list[ServerSentEvent] = []
    for start in range(0, len(data), cut):
        events += decoder.feed(data[start : start + cut])
    return events


@pytest.mark.parametrize("cut", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\r\n\r\ndata:  b\r\r", [(b"", b"a"), (b"", b" b")]),
        (b"event: x\ndata: 1\ndata: 2\n\n", [(b"x", b"1\n2")]),
        (b"event: x\ndata: 1\n\nevent: y\ndata: 2\n\n", [(b"x", b"1"), (b"y", b"2")]),
        (b"event: x\ndata: 1\n\ndata: 2\n\n", [(b"x", b"1"), (b"", b"2")]),
        (b"data: 1\n\nevent: y\ndata: 2\n\n", [(b"", b"1"), (b"y", b"2")]),
        (b"event: x\n\nevent: y\ndata: 2\n\n", [(b"y", b"2")]),
        (b"event: x\nid: 5\ndata: 1\n\n", [(b"x", b"1")]),
        (b": comment\nretry: 10\nid: 3\nunknown\ndata: a\n\n", [(b"", b"a")]),
        (b"event: only-a-name\n\ndata: a\n\n", [(b"", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
        (b"data: never finished", []),
        (b"data: no empty line\n", []),
        (b"data:\n\n", [(b"", b"")]),
        (b"", []),
    ],
)
def test_streams_are_parsed_however_they_are_cut(stream, expected, cut):
    assert decode(stream, cut=cut) == expected


@given(st.lists(TEXT, min_size=1, max_size=5), LINE_ENDS, st.integers(1, 11))
def test_what_is_written_is_read(texts, end, cut):
    stream = b"".join(b"data: %b%b%b" % (t.encode(), end, end) for t in texts)
    assert [data.decode() for _, data in decode(stream, cut=cut)] == texts


@given(st.binary(max_size=200), st.integers(1, 9))
def test_any_bytes_give_the_same_events_cut_or_whole(data, cut):
    assert decode(data, cut=cut) == decode(data)


LINES = st.sampled_from(
    [
        *(b"data: a\n\n", b"event: x\ndata: b\n\n", b"event: y\n", b"data: c\n"),
        *(b"event: z\n\n", b"data:d\n\n", b": e\n\n", b"\n", b"data: f\r\n\r\n"),
        *(b"event: u\ndata: g\ndata: h\n\n", b"event: v\nevent: w\ndata: i\n\n"),
    ]
)


@given(st.lists(LINES, max_size=8).map(b"".join))
def test_whole_events_in_one_read_are_read_like_any_others(data):
    decoder = SSEDecoder()
    first = decoder.feed(b"data: first\n\n")
    assert first + decoder.feed(data) == decode(b"data: first\n\n" + data, cut=1)


@pytest.mark.parametrize(
    "stream", [b"data: " + b"x" * 100, b"x" * 100, b"data: 12345678\n" * 20]
)
def test_lines_and_events_are_bounded(stream):
    decoder = SSEDecoder(max_event_bytes=64)

    def feed_all():
        for start in range(0, len(stream), 8):
            decoder.feed(stream[start : start + 8])
        decoder.feed(b"\n\n")

    with pytest.raises(EventTooLargeError):
        feed_all()


def test_empty_data_lines_are_bounded_too():
    decoder = SSEDecoder(max_event_bytes=64)
    decoder.feed(b"data:\n" * 60)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data:\n" * 10)


@given(st.lists(TEXT, min_size=1, max_size=5), LINE_ENDS, st.integers(1, 11))
def test_events_are_handed_out_whole_and_unchanged(texts, end, cut):
    written = [b"data: %b%b%b" % (text.encode(), end, end) for text in texts]
    stream = b"".join(written)
    whole = WholeEvents()
    blocks = [whole.feed(stream[at : at + cut]) for at in range(0, len(stream), cut)]
    assert whole.close() == b""
    assert b"".join(blocks) == stream
    assert [e for block in blocks if block for e in split_events(block)] == written


@given(st.lists(LINES, min_size=1).map(b"".join), st.integers(1, 9))
def test_splitting_events_loses_no_byte(data, cut):
    whole = WholeEvents()
    blocks = [whole.feed(data[at : at + cut]) for at in range(0, len(data), cut)]
    blocks.append(whole.close())
    split = [event for block in blocks if block for event in split_events(block)]
    assert b"".join(split).rstrip(b"\n") == data.rstrip(b"\n")
    assert [event for part in split for event in decode(part)] == decode(data + b"\n\n")


def test_an_unfinished_event_is_kept_until_it_is_too_large():
    whole = WholeEvents(max_event_bytes=64)
    assert whole.feed(b"data: a\n\ndata: " + b"x" * 58) == b"data: a\n\n"
    with pytest.raises(EventTooLargeError):
        whole.feed(b"x")


def test_events_before_one_that_is_not_utf8_are_split():
    events = split_events(b"data: a\n\ndata: \xff\n\n")
    assert next(events) == b"data: a\n\n"
    with pytest.raises(WireError, match="UTF-8"):
        next(events)

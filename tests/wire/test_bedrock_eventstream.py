"""Frames, against what botocore makes of the same bytes."""

import struct
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire import WireError
from llm_proxy.wire.bedrock.eventstream import MAX_FRAME_BYTES, FrameDecoder

TEXT = 7


def text_header(name, value):
    return header(name, TEXT, struct.pack(">H", len(value.encode())) + value.encode())


def header(name, kind, value):
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value


def frame(headers=b"", payload=b"{}"):
    size = 12 + len(headers) + len(payload) + 4
    lengths = struct.pack(">II", size, len(headers))
    whole = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return whole + struct.pack(">I", crc32(whole))


VALUES = st.one_of(
    st.sampled_from([(0, b""), (1, b"")]),
    st.tuples(st.just(2), st.binary(min_size=1, max_size=1)),
    st.tuples(st.just(3), st.binary(min_size=2, max_size=2)),
    st.tuples(st.just(4), st.binary(min_size=4, max_size=4)),
    st.tuples(st.sampled_from([5, 8]), st.binary(min_size=8, max_size=8)),
    st.tuples(
        st.just(6),
        st.binary(max_size=9).map(lambda data: struct.pack(">H", len(data)) + data),
    ),
    st.tuples(
        st.just(TEXT),
        st.text(max_size=9).map(
            lambda text: struct.pack(">H", len(text.encode())) + text.encode()
        ),
    ),
    st.tuples(st.just(9), st.just(uuid.UUID(int=7).bytes)),
)
HEADERS = st.lists(
    st.tuples(st.text(max_size=20), VALUES), max_size=4, unique_by=lambda item: item[0]
).map(lambda items: b"".join(header(name, *value) for name, value in items))
FRAMES = st.lists(st.builds(frame, HEADERS, st.binary(max_size=40)), max_size=4)


def decode(data, cuts=()):
    decoder = FrameDecoder()
    edges = [0, *sorted(cuts), len(data)]
    frames = []
    for start, end in pairwise(edges):
        frames += decoder.feed(data[start:end])
    return frames


@given(FRAMES, st.data())
def test_frames_are_what_botocore_reads_however_they_are_cut(frames, data):
    stream = b"".join(frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    reference = EventStreamBuffer()
    reference.add_data(stream)
    expected = [
        (
            {k: v for k, v in event.headers.items() if isinstance(v, str)},
            event.payload,
        )
        for event in reference
    ]

    assert decode(stream, cuts) == expected


def test_frames_come_one_byte_at_a_time():
    stream = frame(text_header(":event-type", "a"), b"1") + frame(b"", b"2")

    assert decode(stream, range(len(stream))) == [
        ({":event-type": "a"}, b"1"),
        ({}, b"2"),
    ]


def test_a_frame_that_is_not_whole_is_no_frame():
    assert decode(frame()[:-1]) == []


@given(st.integers(0, 7), st.binary(min_size=1, max_size=1))
def test_a_damaged_prelude_is_found_before_its_lengths_are_believed(place, byte):
    damaged = bytearray(frame()[:12])
    damaged[place : place + 1] = bytes([damaged[place] ^ (byte[0] or 1)])

    with pytest.raises(WireError, match="prelude is damaged"):
        decode(bytes(damaged))


def test_a_damaged_payload_is_found():
    damaged = bytearray(frame(b"", b'{"text":"Hi"}'))
    damaged[-6] ^= 1

    with pytest.raises(WireError, match="damaged"):
        decode(bytes(damaged))


def lengths(size, headers_size):
    prelude = struct.pack(">II", size, headers_size)
    return prelude + struct.pack(">I", crc32(prelude))


@pytest.mark.parametrize(
    ("prelude", "problem"),
    [
        (lengths(MAX_FRAME_BYTES + 1, 0), "too large"),
        (lengths(15, 0), "contradict"),
        (lengths(100, 90), "contradict"),
        (lengths(100, 1 << 31), "contradict"),
    ],
)
def test_lengths_are_bounded(prelude, problem):
    with pytest.raises(WireError, match=problem):
        decode(prelude)


def test_a_frame_of_the_greatest_size_is_read():
    payload = b"x" * (MAX_FRAME_BYTES - 16)

    assert decode(frame(b"", payload), range(0, MAX_FRAME_BYTES, 1 << 16)) == [
        ({}, payload),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a",
        header("a", 10, b""),
        header("a", TEXT, b"\x00"),
        header("a", TEXT, b"\x00\x05ab"),
        header("a", TEXT, b"\x00\x01\xff"),
        header("a", 9, b"short"),
        b"\x01\xff\x07\x00\x01a",
    ],
)
def test_malformed_headers_are_an_error(headers):
    with pytest.raises(WireError, match="headers are malformed"):
        decode(frame(headers))


def test_a_time_is_no_text():
    moment = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    headers = header("t", 8, struct.pack(">q", moment)) + text_header("a", "b")

    assert decode(frame(headers)) == [({"a": "b"}, b"{}")]


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_wire_error(data):
    with suppress(WireError):
        assert decode(data) == []

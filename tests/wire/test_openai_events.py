import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import Usage
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_events import MediaEvents

PARTIAL = b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n'  # noqa: E501
COMPLETED = b'data: {"type":"image_generation.completed","usage":{"input_tokens":3,"output_tokens":9}}\n\n'  # noqa: E501
DONE = b"data: [DONE]\n\n"


def read(*pieces: bytes) -> list:
    events = MediaEvents()
    passages = [passage for piece in pieces for passage in events.feed(piece)]
    return passages + events.close()


def test_events_pass_through_and_say_what_was_used():
    passages = read(PARTIAL + COMPLETED)

    assert [passage.data for passage in passages] == [PARTIAL, COMPLETED]
    assert all(passage.has_content for passage in passages)
    assert passages[-1].usage == Usage(3, 9, source="provider")


@pytest.mark.parametrize(
    "kind",
    [
        "image_generation.completed",
        "image_edit.completed",
        "speech.audio.done",
        "transcript.text.done",
    ],
)
def test_every_kind_of_stream_has_its_end(kind):
    read(b"data: %b\n\n" % json.dumps({"type": kind}).encode())


def test_several_images_end_several_times():
    events = MediaEvents()
    events.feed(COMPLETED)
    assert not events.done
    events.feed(COMPLETED + DONE)
    assert events.done


@pytest.mark.parametrize("pieces", [(), (PARTIAL,), (PARTIAL, COMPLETED[:-1])])
def test_without_its_end_a_stream_is_not_whole(pieces):
    with pytest.raises(WireError):
        read(*pieces)


def test_a_lost_event_is_an_error():
    with pytest.raises(WireError):
        read(b'data: {"type": "transcript\n\n', COMPLETED)


@pytest.mark.parametrize("noise", [b": comment\n\n", b"data: ping\n\n", b"data: 1\n\n"])
def test_what_is_no_event_of_the_api_is_left_out(noise):
    assert [passage.data for passage in read(noise, COMPLETED)] == [COMPLETED]


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"type": "server_error", "message": "oops"}},
        {"type": "error", "error": {"code": "server_error", "message": "oops"}},
        {"type": "error", "code": "server_error", "message": "oops"},
    ],
)
def test_an_error_event_is_an_error(error):
    with pytest.raises(UpstreamFaultError) as fault:
        read(PARTIAL, b"event: error\ndata: %b\n\n" % json.dumps(error).encode())

    assert (fault.value.detail.status, fault.value.detail.message) == (500, "oops")


@given(st.data())
def test_a_stream_may_be_cut_anywhere(data):
    stream = (PARTIAL + COMPLETED + DONE).replace(b"\n", b"\r\n")
    at = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    cuts = zip([0, *at], [*at, len(stream)], strict=True)

    whole = read(*(stream[start:end] for start, end in cuts))

    assert b"".join(each.data for each in whole) == PARTIAL + COMPLETED + DONE


@given(st.binary())
def test_any_bytes_are_events_or_an_error(data):
    events = MediaEvents()
    try:
        events.feed(data)
        events.close()
    except WireError:
        return

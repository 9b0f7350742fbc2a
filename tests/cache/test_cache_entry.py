from dataclasses import replace
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st
from tests.cache.answered import Answered, entry

from llm_proxy.cache.entry import decode_entry, encode_entry, make_entry
from llm_proxy.types import ChatResponse, Text, Usage
from llm_proxy.wire import gather

COUNTS = st.integers(0, 2**53)
ENTRIES = st.builds(
    entry,
    body=st.binary(),
    stored_at=st.floats(0, 1e10),
    provider=st.text(st.characters(exclude_categories=["Cs"])),
    answered_model=st.none() | st.just("m\n"),
    finish_reason=st.sampled_from(["stop", "length"]),
    usage=st.builds(
        Usage,
        COUNTS,
        COUNTS,
        COUNTS,
        COUNTS,
        COUNTS,
        st.sampled_from(["provider", "none"]),
    ),
    headers=st.sampled_from([(), ((b"x-llm-proxy-dropped", b"top_k, \xe9"),)]),
)


@given(before=ENTRIES)
def test_bytes_say_all_of_an_entry(before):
    assert decode_entry(encode_entry(before)) == before


@given(data=st.binary() | st.binary().map(lambda data: b"\x01" + data))
@example(b"\x01[]\n")
@example(b"\x01[1,2,3,4,5,6,7,8]\nbody")
@example(b'\x01["a","b",null,"stop",1,"none",[1,2,3,4],[]]\nbody')
@example(b'\x01["a","b",null,"stop",1,"none",[1,2,3,4,5],[["a"]]]\nbody')
@example(b'\x01["a","b",null,"stop",1,"none",[1,2,3,4,5],[[1,2]]]\nbody')
@example(b"\x02" + encode_entry(entry())[1:])
@example(encode_entry(entry())[:20])
def test_other_bytes_are_no_entry(data):
    assert decode_entry(data) is None


def test_an_entry_has_what_is_known_of_the_call():
    headers = ((b"x-llm-proxy-dropped", b"top_k"), (b"x-ratelimit-remaining", b"1"))
    made = make_entry(Answered(), b"Paris", headers, 1e9)

    assert made == replace(entry(), headers=headers[:1])


def test_what_an_answer_has_cost_is_not_the_cost_of_its_replay():
    usage = replace(Answered().usage, reported_cost=Decimal("0.1"))
    made = make_entry(Answered(usage=usage), b"Paris", (), 1e9)

    assert made.usage == Answered().usage


def test_a_text_is_replayed_as_a_stream():
    kept = entry("Paris, où".encode())

    assert gather(kept.chunks) == ChatResponse(
        (Text("Paris, où"),), "gpt-4-0613", "stop", Answered().usage
    )


def test_ages_are_never_below_nothing():
    assert entry(stored_at=100.0).age_seconds(103.5) == 3.5
    assert entry(stored_at=100.0).age_seconds(99.0) == 0.0

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.meanings import NEAR_MISSES, PARAPHRASES

from llm_proxy.cache.wording import MAX_BYTES, wording


@pytest.mark.parametrize(("one", "other"), PARAPHRASES)
def test_the_same_question_in_another_frame_has_the_same_words(one, other):
    assert wording(one) == wording(other) is not None


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES)
def test_another_question_has_other_words(one, other):
    assert wording(one) != wording(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Fix this:\nreturn 1",
        "What is\ta tab?",
        "What is a NUL\0?",
        "What is hid\u200bden?",
        "What is a \ud800?",
        "x" * (MAX_BYTES + 1),
        "é" * (MAX_BYTES // 2 + 1),
        # Of few bytes, but of many once a model reads it.
        "\ufdfa" * (MAX_BYTES // 20),
    ],
)
def test_what_is_no_short_prose_is_not_compared(text):
    assert wording(text) is None


def test_the_longest_prose_is_compared():
    assert wording("x" * MAX_BYTES) == "x" * MAX_BYTES


ANY = st.characters(categories=["L", "N", "P", "S"])


@given(text=st.text(ANY, max_size=10))
def test_what_is_asked_for_is_compared_as_it_is(text):
    assert wording(f"Xenon {text}x") == f"Xenon {text}x"


FRAME = (
    "please hello, Hello can could you me I what What's is are the some a good do how "
    "to tell give explain would like know why ? ."
)
CONTENT = ("zebra", "not", "7", "Rome", "of", "before")


@given(
    words=st.lists(st.sampled_from([*FRAME.split(" "), *CONTENT]), max_size=12),
    end=st.sampled_from(["", "?", "."]),
)
def test_what_is_asked_for_stays_in_its_order(words, end):
    rest = wording(" ".join(words) + end) or ""
    left = [word.rstrip("?.") for word in rest.split()]

    assert [word for word in left if word in CONTENT] == [
        word for word in words if word in CONTENT
    ]


@pytest.mark.parametrize("word", ["is ", "what is ", "hello, ", "can you ", "a.", "é"])
def test_odd_texts_are_read_at_once(word):
    # Many steps for each would run into the time-out of the tests.
    for _ in range(1000):
        wording(f"what {word * 200}"[:MAX_BYTES])

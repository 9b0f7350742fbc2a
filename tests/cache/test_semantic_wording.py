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
        "Thanks!",
        "please",
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


@given(text=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_one_word_is_compared_down_to_its_case(text):
    # What may differ around it has blanks, or ends it.
    core = f"Xenon {text}x"

    assert wording(core) in (core, None)


@given(
    words=st.lists(
        st.sampled_from(
            "please what is are the do how tell me can you I hello, ? . thanks".split()
        )
    )
)
def test_what_is_left_of_any_words_stood_there(words):
    rest = wording(" ".join(words))

    left = (rest or "").lower().replace("tell me", "").replace("how to", "").split()
    assert set(left) <= set(" ".join(words).lower().replace(",", " ").split()) | {
        word.rstrip(",") for word in words
    } | set(" ".join(words).lower().split())

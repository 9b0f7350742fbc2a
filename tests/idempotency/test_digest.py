from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.idempotency import digest

# Few and short, so that many lists are the same once they are joined.
lists = st.lists(st.sampled_from([b"", b"a", b"aa", b"\0"]), max_size=4)


@given(lists, lists)
def test_lists_have_one_digest_if_they_are_the_same(one, other):
    assert (digest(*one) == digest(*other)) == (one == other)


@given(lists)
def test_a_digest_fits_into_its_column(parts):
    assert len(digest(*parts)) == 64
    assert set(digest(*parts)) <= set("0123456789abcdef")

"""Ids of entries."""

from itertools import islice

from llm_proxy.ledger import entry_ids


def test_nobody_else_makes_the_same_ids():
    one, other = (list(islice(entry_ids(), 1000)) for _ in range(2))

    assert len({*one, *other}) == 2000


def test_ids_grow_and_fit_into_their_column():
    ids = list(islice(entry_ids(), 1000))

    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {36}

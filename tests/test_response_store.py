"""Responses that are kept."""

import pytest

from llm_proxy.errors import NotFoundError
from llm_proxy.responses import ResponseStore, StoredResponse


def stored(number, parent=""):
    return StoredResponse(
        response={"id": f"resp_{number}", "output": [{"said": f"answer {number}"}]},
        input=({"said": f"question {number}"},),
        provider="openai",
        model="gpt-4",
        parent=parent,
    )


def test_what_is_kept_comes_back_as_it_was():
    store = ResponseStore(max_bytes=1_000_000)
    response = stored(1)
    store.put("ann", response)
    response.response["output"].clear()

    assert store.get("ann", "resp_1") == stored(1)


def test_a_conversation_is_all_turns_oldest_first():
    store = ResponseStore(max_bytes=1_000_000)
    store.put("ann", stored(1))
    store.put("ann", stored(2, parent="resp_1"))

    assert [item["said"] for item in store.conversation("ann", "resp_2")] == [
        "question 1",
        "answer 1",
        "question 2",
        "answer 2",
    ]


def test_one_owner_fills_a_quarter_and_loses_what_was_unused_longest():
    store = ResponseStore(max_bytes=4_000)
    for number in range(100):
        store.put("ann", stored(number))
        store.get("ann", "resp_0")
    store.put("bob", stored(1))

    assert store.get("ann", "resp_0")
    assert store.get("ann", "resp_99")
    assert store.get("bob", "resp_1")
    with pytest.raises(NotFoundError):
        store.get("ann", "resp_50")


def test_all_together_lose_what_the_longest_silent_owner_has():
    store = ResponseStore(max_bytes=1_000)
    owners = [f"owner {number}" for number in range(20)]
    for owner in owners:
        store.put(owner, stored(1))

    assert store.get(owners[-1], "resp_1")
    with pytest.raises(NotFoundError):
        store.get(owners[0], "resp_1")

from dataclasses import replace

import pytest
from tests.cache.answered import question, v1_question

from llm_proxy.cache import Policy
from llm_proxy.cache.policy import is_whole
from llm_proxy.types import Tool

ALL = Policy("all", 60.0)
SMART = Policy("smart", 60.0)
V1 = Policy("all", surfaces=frozenset(("openai", "anthropic")))


def test_off_covers_nothing():
    assert not Policy("off").covers(question())


def test_surfaces_are_covered_that_the_operator_names():
    assert ALL.covers(question())
    assert ALL.covers(question(surface="webhook", feature="webhook.summary"))
    assert not ALL.covers(v1_question())
    assert V1.covers(v1_question())
    assert not V1.covers(question())


def test_personal_data_is_never_covered():
    assert not ALL.covers(question(has_pii=True))
    assert not V1.covers(replace(v1_question(), has_pii=True))


def test_tools_are_never_covered():
    asked = question().asked

    assert not ALL.covers(question(asked=replace(asked, tools=(Tool("f"),))))


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{"name": "f"}]},
        {"web_search_options": {"search_context_size": "low"}},
        {"mcp_servers": [{"url": "https://example.com"}]},
        {"container": "c"},
        {"plugins": [{"id": "web"}]},
        {"audio": {"voice": "alloy"}},
        {"store": True},
    ],
    ids=str,
)
def test_what_does_something_on_v1_is_never_covered(fields):
    assert V1.covers(v1_question(model="m"))
    assert not V1.covers(v1_question(model="m", **fields))


def test_what_is_absent_does_nothing():
    fields = {"tools": [], "functions": None, "store": False, "background": False}

    assert V1.covers(v1_question(**fields))


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({"store": False}, True),
        ({}, False),
        ({"store": True}, False),
        ({"store": None}, False),
        ({"store": False, "previous_response_id": "resp_1"}, False),
        ({"store": False, "background": True}, False),
        ({"store": False, "conversation": "conv_1"}, False),
        ({"store": False, "prompt": {"id": "pmpt_1"}}, False),
    ],
    ids=str,
)
def test_responses_are_covered_only_if_nobody_keeps_them(fields, covered):
    asked = v1_question("v1.openai_responses", input="hi", **fields)

    assert V1.covers(asked) == covered


def test_the_prompt_of_older_completions_is_a_text():
    assert V1.covers(v1_question("v1.openai_completions", prompt="Once"))


def test_all_keeps_everything_for_the_same_time():
    assert ALL.keeps(0, 1)
    assert ALL.ttl(1000) == 60.0
    assert not ALL.counts


@pytest.mark.parametrize(
    ("nanos", "times", "kept"),
    [
        (10_000_000, 5, False),
        (10_000_001, 1, True),
        (0, 6, True),
        (0, 0, False),
    ],
)
def test_smart_keeps_what_is_expensive_or_common(nanos, times, kept):
    assert SMART.counts
    assert SMART.keeps(nanos, times) == kept


@pytest.mark.parametrize(
    ("times", "seconds"),
    [(0, 600), (10, 600), (11, 3600), (100, 3600), (101, 86400)],
)
def test_smart_keeps_longer_what_is_asked_more_often(times, seconds):
    assert SMART.ttl(times) == seconds


@pytest.mark.parametrize(
    ("reason", "whole"),
    [
        ("stop", True),
        ("length", True),
        ("content_filter", False),
        ("refusal", False),
        ("tool_calls", False),
        (None, False),
    ],
)
def test_answers_are_whole_by_how_they_ended(reason, whole):
    assert is_whole(reason) == whole

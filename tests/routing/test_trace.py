import pytest

from llm_proxy.errors import LLMStreamBrokenError, NotFoundError
from llm_proxy.routing import Target, Trace, Traces, Tried

HERE, THERE = Target("openai", "gpt-4"), Target("anthropic", "claude")


def test_who_was_passed_over_was_not_asked():
    trace = Trace()
    trace.pass_over(THERE, "LLM_COOLING_DOWN", "later")
    for outcome in ("failed", "abandoned", "answered"):
        trace.note_attempt(Tried(HERE, outcome))
    assert (trace.attempts, len(trace.tried)) == (3, 4)


def test_an_answer_that_breaks_off_is_a_failure_of_who_gave_it():
    trace = Trace()
    before = [
        Tried(HERE, "failed", "LLM_UNAVAILABLE"),
        Tried(HERE, "answered", seconds=2.0),
        Tried(THERE, "answered"),
    ]
    trace.tried += before
    trace.broke_off(HERE, LLMStreamBrokenError("It was cut", log_detail="SECRET"))
    failed = Tried(HERE, "failed", "LLM_STREAM_BROKEN", "It was cut", seconds=2.0)
    assert trace.tried == [before[0], failed, before[2]]


def test_an_answer_that_comes_second_was_for_nobody():
    trace = Trace()
    trace.note_attempt(Tried(HERE, "answered"))
    trace.note_attempt(Tried(THERE, "answered"))
    trace.came_second(HERE)
    assert [each.outcome for each in trace.tried] == ["abandoned", "answered"]


class TestTraces:
    def test_they_are_found_again_and_may_grow(self):
        traces, trace = Traces(), Trace("id", "ann", "smart")
        traces.keep(trace)
        trace.answered_by = HERE
        assert traces.get("ann", "id").answered_by == HERE

    @pytest.mark.parametrize(
        ("owner", "id"), [("eve", "id"), ("", "id"), ("ann", "di"), ("id", "ann")]
    )
    def test_nobody_finds_what_is_not_theirs(self, owner, id):
        traces = Traces()
        traces.keep(Trace("id", "ann"))
        with pytest.raises(NotFoundError):
            traces.get(owner, id)

    def test_two_owners_may_use_the_same_id(self):
        traces = Traces()
        both = [Trace("id", owner) for owner in ("ann", "eve")]
        for trace in both:
            traces.keep(trace)
        assert [traces.get(owner, "id") for owner in ("ann", "eve")] == both

    def test_the_latest_are_kept(self):
        traces = Traces(most=3)
        kept = [Trace(id, "ann") for id in ("0", "1", "2", "0", "3")]
        for trace in kept:
            traces.keep(trace)
        for id, trace in (("2", kept[2]), ("0", kept[3]), ("3", kept[4])):
            assert traces.get("ann", id) is trace
        with pytest.raises(NotFoundError):
            traces.get("ann", "1")

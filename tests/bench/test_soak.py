"""The soak's own judgement: it has to notice what is wrong."""

from xml.etree import ElementTree

import pytest
from bench.soak.caller import Reply
from bench.soak.cases import CASES, Sent
from bench.soak.chart import svg
from bench.soak.outcome import judge
from bench.soak.report import Report
from bench.soak.roads import CHAT, COMPLETIONS, MESSAGES, RESPONSES, Road
from bench.soak.run import Result
from bench.soak.watch import Sample, last_half, slope

ENDS = [
    (CHAT, b"event: done\ndata: {}\n\n", b"event: error\ndata: {}\n\n"),
    (COMPLETIONS, b"data: [DONE]\n\n", b'data: {"error":{"message":"x"}}\n\n'),
    (MESSAGES, b"event: message_stop\ndata: {}\n\n", b"event: error\ndata: {}\n\n"),
    (
        RESPONSES,
        b"event: response.completed\ndata: {}\n\n",
        b"event: response.failed\ndata: {}\n\n",
    ),
]
WORDS = b'data: {"text":"word"}\n\n'


def sent(surface=CHAT, stream=False):
    return Sent(b"", Road(surface, "sandbox"), stream, b"word")


def streamed(surface, body, whole=True):
    return judge(sent(surface, stream=True), Reply(200, True, body, whole))


@pytest.mark.parametrize(("surface", "end", "error"), ENDS)
def test_streams_are_judged_by_their_end(surface, end, error):
    assert streamed(surface, WORDS + end) == "whole"
    assert streamed(surface, WORDS + error) == "broken"
    assert streamed(surface, WORDS) == "cut off"
    assert streamed(surface, WORDS + end, whole=False) == "cut off"
    assert streamed(surface, end) == "whole without its content"
    assert streamed(surface, WORDS + error + end) == "whole and broken at once"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200, body=b'{"text":"word"}', whole=True), "whole"),
        (Reply(200, body=b'{"text":"other"}', whole=True), "whole without its content"),
        (Reply(200, body=b'{"text":"word"}'), "cut off"),
        (Reply(200, body=b'{"text":"word', whole=True), "not JSON"),
        (Reply(200, True, b"word", whole=True), "a stream nobody asked for"),
        (Reply(502, body=b'{"error":{"message":"x"}}', whole=True), "502"),
        (Reply(502, body=b"Bad gateway", whole=True), "502 without words"),
        (Reply(502, body=b'{"error":{"message":"x"}}'), "502 without words"),
        (Reply(0), "no answer"),
        (Reply(-1), "no end in time"),
    ],
)
def test_plain_answers_are_judged_by_what_they_say(reply, outcome):
    assert judge(sent(), reply) == outcome


def sample(requests=0, rss_kib=1024, **more):
    values = {"files": 10, "threads": 1, "upstream": 0, "in_flight": 0}
    return Sample(requests, rss_kib, **(values | more))


def samples(kib_per_thousand):
    return [
        sample(thousand * 1000, int(80_000 + kib_per_thousand * thousand))
        for thousand in range(101)
    ]


def result(**changes):
    values = {
        "requests": 100_000,
        "before": sample(),
        "after": sample(),
        "samples": samples(0),
        "upstream_open": 0,
    }
    return Result(**(values | changes))


def test_growth_is_measured_in_the_second_half():
    early = [sample(each.requests, 1024 + each.requests) for each in samples(0)[:50]]

    assert slope(last_half([*early, *samples(7)[50:]])) == pytest.approx(7)


def test_a_run_without_defects_is_good():
    assert Report(result()).is_good


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": {(CASES[0].name, "cut off"): 1}},
        {"log_events": {"unhandled_exception": 1}},
        {"after": sample(in_flight=1)},
        {"after": sample(upstream=1)},
        {"after": sample(files=11)},
        {"upstream_open": 1},
        {"samples": samples(100)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_run_with_a_defect_is_not(changes):
    assert not Report(result(**changes)).is_good


def test_errors_that_callers_are_told_are_no_defects():
    assert Report(result(log_events={"LLM_TIMEOUT": 5})).is_good


def test_the_chart_is_a_picture():
    picture = ElementTree.fromstring(svg([(0, 0), (10, 150)], "across", "up"))

    assert picture.find("{*}polyline").get("points") == "60.0,275.0 780.0,20.0"

"""Every check of the self-test sees what it is there to see."""

import re
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from llm_proxy.selftest.catalogue import (
    BROKEN,
    LIMITED,
    REJECTED,
    SILENT,
    UNAVAILABLE,
    Fault,
)
from llm_proxy.selftest.faults import SURFACES
from llm_proxy.selftest.instance import Reply
from llm_proxy.selftest.traces import judge_attempts, judge_restraint
from llm_proxy.selftest.verdict import Case, judge

NATIVE, OPENAI, ANTHROPIC = SURFACES
TEXT = "The sandbox read: all of it"
SECRET = "token-of-the-caller"
NAMED = {
    "content-type": "application/json",
    "x-request-id": "req_1",
    "x-llm-proxy-trace": "tr_1",
    "x-llm-proxy-attempts": "2",
    "x-llm-proxy-model": "sandbox/sandbox",
    "x-should-retry": "false",
}
DOWN = Fault("fault-503", (UNAVAILABLE,))
CUT = Fault("fault-cut", (BROKEN,), begins=True)


def reply(body: object, status: int = 200, **headers: str | None) -> Reply:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {k: v for k, v in (NAMED | changed).items() if v is not None}
    return Reply(status, kept, data, 0.1)


def sse(*events: tuple[str, object]) -> bytes:
    return b"".join(
        (b"event: %b\n" % name.encode() if name else b"")
        + b"data: %b\n\n"
        % (data.encode() if isinstance(data, str) else orjson.dumps(data))
        for name, data in events
    )


def native_error(code: str = "LLM_UNAVAILABLE") -> dict:
    error = {"code": code, "message": "m", "details": None, "requestId": "req_1"}
    return {"error": error}


OPENAI_ERROR = {"error": {"message": "m", "type": "t", "param": None, "code": None}}
ANTHROPIC_ERROR = {
    "type": "error",
    "error": {"type": "api_error", "message": "m"},
    "request_id": "req_1",
}
ERRORS = {
    NATIVE.name: native_error(),
    OPENAI.name: OPENAI_ERROR,
    ANTHROPIC.name: ANTHROPIC_ERROR,
}
NATIVE_ANSWER = {
    "provider": "sandbox",
    "model": "sandbox",
    "response": TEXT,
    "meta": {"finish_reason": "stop", "usage": {"input_tokens": 3, "output_tokens": 5}},
}
OPENAI_ANSWER = {
    "model": "sandbox",
    "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5},
}
ANTHROPIC_ANSWER = {
    "model": "sandbox",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 5},
}
ANSWERS = {
    NATIVE.name: NATIVE_ANSWER,
    OPENAI.name: OPENAI_ANSWER,
    ANTHROPIC.name: ANTHROPIC_ANSWER,
}


def openai_chunk(text: str | None, reason: str | None = None) -> tuple[str, object]:
    choice = {"delta": {"content": text}, "finish_reason": reason}
    return "", {"model": "sandbox", "choices": [choice]}


def typed(kind: str, **members: object) -> tuple[str, object]:
    return kind, {"type": kind, **members}


HALF, REST = TEXT[:10], TEXT[10:]
NATIVE_BEGUN = [("delta", {"response": HALF})]
OPENAI_BEGUN = [openai_chunk(HALF)]
ANTHROPIC_BEGUN = [
    typed("message_start", message={"model": "sandbox", "usage": {"input_tokens": 3}}),
    typed("content_block_delta", delta={"text": HALF}),
]
NATIVE_STREAM = [*NATIVE_BEGUN, ("delta", {"response": REST}), ("done", NATIVE_ANSWER)]
OPENAI_USAGE = ("", {"choices": [], "usage": OPENAI_ANSWER["usage"]})
OPENAI_STREAM = [
    *OPENAI_BEGUN,
    openai_chunk(REST, "stop"),
    OPENAI_USAGE,
    ("", "[DONE]"),
]
ANTHROPIC_STREAM = [
    *ANTHROPIC_BEGUN,
    typed("content_block_delta", delta={"text": REST}),
    typed(
        "message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}
    ),
    typed("message_stop"),
]
STREAMS = {
    NATIVE.name: NATIVE_STREAM,
    OPENAI.name: OPENAI_STREAM,
    ANTHROPIC.name: ANTHROPIC_STREAM,
}
BEGUN = {
    NATIVE.name: (NATIVE_BEGUN, ("error", native_error("LLM_STREAM_BROKEN"))),
    OPENAI.name: (OPENAI_BEGUN, ("", OPENAI_ERROR)),
    ANTHROPIC.name: (ANTHROPIC_BEGUN, ("error", ANTHROPIC_ERROR)),
}
ALL = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


def complaints(
    fault: Fault, surface, answer: Reply, way: str = "alone", stream: bool = False
) -> Sequence[str]:
    return judge(Case(fault, surface, stream, way), answer, TEXT, SECRET).complaints


@ALL
class TestRefusals:
    def test_a_clean_error_is_no_reason_to_complain(self, surface):
        assert complaints(DOWN, surface, reply(ERRORS[surface.name], 502)) == ()

    @pytest.mark.parametrize(
        ("spoilt", "complaint"),
        [
            ({"status": 500}, "status 500 ("),
            ({"content_type": "text/html"}, "the error is sent as text/html"),
            ({"x_should_retry": None}, "no x-should-retry: false"),
            ({"x_should_retry": "true"}, "no x-should-retry: false"),
            ({"retry_after": "1e20"}, "Retry-After: 1e20"),
            ({"retry_after": "-5"}, "Retry-After: -5"),
            ({"retry_after": "86400"}, "Retry-After: 86400"),
            ({"x_llm_proxy_trace": None}, "no x-llm-proxy-trace"),
            ({"x_llm_proxy_attempts": None}, "no x-llm-proxy-attempts"),
            ({"x_request_id": None}, "no x-request-id"),
            ({"x_debug": f"Bearer {SECRET}"}, "the answer repeats the token"),
        ],
    )
    def test_a_head_that_breaks_a_promise(self, surface, spoilt, complaint):
        status = spoilt.get("status", 502)
        headers = {name: value for name, value in spoilt.items() if name != "status"}
        found = complaints(
            DOWN, surface, reply(ERRORS[surface.name], status, **headers)
        )
        assert any(each.startswith(complaint) for each in found)
        assert not any(SECRET in each for each in found)

    @pytest.mark.parametrize(
        "body",
        [b"", b"<h1>Bad gateway</h1>", {}, {"error": "down"}, {"error": {"code": 5}}],
    )
    def test_a_body_outside_of_the_envelope(self, surface, body):
        found = complaints(DOWN, surface, reply(body, 502))
        assert "the error is not in the surface's envelope" in found

    def test_another_surfaces_envelope(self, surface):
        others = [body for name, body in ERRORS.items() if name != surface.name]
        for body in others:
            found = complaints(DOWN, surface, reply(body, 502))
            assert "the error is not in the surface's envelope" in found

    def test_words_from_the_inside(self, surface):
        body = orjson.dumps(ERRORS[surface.name]) + b" Incorrect API key provided"
        found = complaints(DOWN, surface, reply(body, 502))
        assert "the answer repeats 'Incorrect API key'" in found

    def test_a_reply_that_does_not_end(self, surface):
        late = replace(reply(ERRORS[surface.name], 502), broken="it was not over")
        assert complaints(DOWN, surface, late) == ("it was not over",)

    def test_an_answer_where_there_can_be_none(self, surface):
        found = complaints(DOWN, surface, reply(ANSWERS[surface.name]))
        assert found == ("whole (status 200), not refused",)

    def test_advice_that_is_kept_back(self, surface):
        fault = Fault("fault-503-retry-after-1", (UNAVAILABLE,), has_advice=True)
        body = ERRORS[surface.name]
        assert complaints(fault, surface, reply(body, 502, retry_after="1")) == ()
        found = complaints(fault, surface, reply(body, 502))
        assert found == ("no Retry-After, though the upstream sent one",)


def test_the_native_surface_tells_the_right_code():
    found = complaints(DOWN, NATIVE, reply(native_error("INTERNAL_ERROR"), 502))
    assert found == ("INTERNAL_ERROR, not LLM_UNAVAILABLE",)


def test_an_upstream_that_limits_us_has_another_status_for_sdks():
    fault = Fault("fault-429", (LIMITED,))
    limited = native_error("LLM_RATE_LIMITED")
    assert complaints(fault, NATIVE, reply(limited, 502)) == ()
    assert complaints(fault, OPENAI, reply(OPENAI_ERROR, 429)) == ()
    assert complaints(fault, OPENAI, reply(OPENAI_ERROR, 502)) == (
        "status 502 (t), not 429",
    )


def test_overload_keeps_its_status_for_anthropics_sdks_alone():
    assert complaints(DOWN, ANTHROPIC, reply(ANTHROPIC_ERROR, 529)) == ()
    assert complaints(DOWN, OPENAI, reply(OPENAI_ERROR, 529)) != ()


class TestReservations:
    @ALL
    def test_an_open_breaker_is_clean_and_shows_nothing(self, surface):
        body = native_error("LLM_COOLING_DOWN") if surface is NATIVE else None
        answer = reply(body or ERRORS[surface.name], 503, retry_after="30")
        verdict = judge(Case(DOWN, surface, False, "alone"), answer, TEXT, SECRET)
        assert verdict.complaints == ()
        assert verdict.reservation == "the breaker was open"

    @ALL
    def test_an_open_breaker_is_no_excuse_where_there_is_a_fallback(self, surface):
        body = native_error("LLM_COOLING_DOWN") if surface is NATIVE else None
        answer = reply(body or ERRORS[surface.name], 503, retry_after="30")
        verdict = judge(Case(DOWN, surface, False, "fallback"), answer, TEXT, SECRET)
        assert verdict.complaints != ()

    @pytest.mark.parametrize("way", ["fallback", "buffer"])
    def test_a_deadline_may_come_before_a_silent_upstream_is_given_up(self, way):
        fault = Fault("fault-hang", (SILENT,), waits=True)
        error = native_error("LLM_TIMEOUT")
        streamed = reply(sse(*NATIVE_BEGUN, ("error", error)))
        for stream, answer in ((False, reply(error, 504)), (True, streamed)):
            verdict = judge(Case(fault, NATIVE, stream, way), answer, TEXT, SECRET)
            assert verdict.complaints == ()
            assert verdict.reservation.startswith("the caller's deadline")

    def test_a_deployment_that_fails_often_may_not_be_asked_again(self):
        fault = Fault("flaky-2", (UNAVAILABLE,), recovers=True)
        case = Case(fault, NATIVE, False, "alone")
        verdict = judge(case, reply(native_error(), 502), TEXT, SECRET)
        assert verdict.complaints == ()
        assert verdict.reservation.startswith("it was not asked again")
        assert judge(case, reply(native_error("X"), 502), TEXT, SECRET).complaints

    def test_even_with_a_reservation_the_error_must_be_clean(self):
        answer = reply(b"busy", 503)
        verdict = judge(Case(DOWN, OPENAI, False, "alone"), answer, TEXT, SECRET)
        assert verdict.complaints == ("the error is not in the surface's envelope",)


@ALL
class TestAnswersOfTheFallback:
    def test_a_whole_one(self, surface):
        assert complaints(DOWN, surface, reply(ANSWERS[surface.name]), "fallback") == ()

    def test_a_whole_stream(self, surface):
        answer = reply(sse(*STREAMS[surface.name]))
        assert complaints(CUT, surface, answer, "fallback", stream=True) == ()
        assert complaints(CUT, surface, answer, "buffer", stream=True) == ()
        assert complaints(CUT, surface, answer, "continue", stream=True) == ()

    def test_half_of_one(self, surface):
        body = orjson.dumps(ANSWERS[surface.name]).replace(TEXT.encode(), HALF.encode())
        assert complaints(DOWN, surface, reply(body), "fallback") == (
            "the answer is not the fallback's, or not all of it",
        )

    def test_an_empty_one(self, surface):
        body = orjson.dumps(ANSWERS[surface.name]).replace(TEXT.encode(), b"")
        found = complaints(DOWN, surface, reply(body), "fallback")
        assert found == ("the answer is empty",)

    def test_one_under_the_name_of_who_failed(self, surface):
        name = {"x_llm_proxy_model": "sandbox/fault-503"}
        answer = reply(ANSWERS[surface.name], **name)
        assert complaints(DOWN, surface, answer, "fallback") == (
            "x-llm-proxy-model says sandbox/fault-503",
        )
        body = orjson.dumps(ANSWERS[surface.name])
        body = body.replace(b'"model":"sandbox"', b'"model":"fault-503"')
        assert len(complaints(DOWN, surface, reply(body), "fallback")) == 1

    def test_one_without_usage(self, surface):
        body = orjson.dumps(ANSWERS[surface.name]).replace(b":5", b":-5")
        assert complaints(DOWN, surface, reply(body), "fallback") == (
            "the answer does not tell its usage",
        )

    def test_an_error_although_somebody_could_have_answered(self, surface):
        found = complaints(DOWN, surface, reply(ERRORS[surface.name], 502), "fallback")
        [complaint] = found
        assert re.fullmatch(r"refused \(status 502, \w+\), not whole", complaint)

    def test_one_to_a_mistake_of_the_caller(self, surface):
        mistake = Fault("fault-400", (REJECTED,), attempts=1, reroutes="never")
        found = complaints(mistake, surface, reply(ANSWERS[surface.name]), "fallback")
        assert found == ("whole (status 200), not refused",)

    def test_a_continuation_that_has_lost_its_beginning(self, surface):
        body = sse(*STREAMS[surface.name]).replace(HALF.encode(), b"")
        body = body.replace(TEXT.encode(), REST.encode())
        found = complaints(CUT, surface, reply(body), "continue", stream=True)
        assert found == ("the answer has lost its beginning",)


@ALL
class TestStreamsThatDie:
    def test_an_error_event_tells_the_truth(self, surface):
        begun, error = BEGUN[surface.name]
        answer = reply(sse(*begun, error))
        assert complaints(CUT, surface, answer, stream=True) == ()

    def test_silence_does_not(self, surface):
        begun, _ = BEGUN[surface.name]
        found = complaints(CUT, surface, reply(sse(*begun)), stream=True)
        assert found == ("torn (status 200), not broken or refused",)

    def test_a_clean_ending_does_not(self, surface):
        answer = reply(sse(*STREAMS[surface.name]))
        found = complaints(CUT, surface, answer, stream=True)
        assert found == ("whole (status 200), not broken or refused",)

    def test_something_behind_the_error(self, surface):
        begun, error = BEGUN[surface.name]
        answer = reply(sse(*begun, error, STREAMS[surface.name][-1]))
        assert complaints(CUT, surface, answer, stream=True) != ()

    def test_an_error_outside_of_the_envelope(self, surface):
        begun, error = BEGUN[surface.name]
        spoilt = (error[0], {"type": "error", "error": {"oops": True}})
        found = complaints(CUT, surface, reply(sse(*begun, spoilt)), stream=True)
        assert "an error that is not in the envelope" in found

    def test_an_error_is_not_enough_where_answers_are_held_back(self, surface):
        begun, error = BEGUN[surface.name]
        found = complaints(CUT, surface, reply(sse(*begun, error)), "buffer", True)
        [complaint] = found
        assert re.fullmatch(r"broken \(status 200, \w+\), not whole", complaint)

    def test_a_stream_that_never_should_have_begun(self, surface):
        begun, error = BEGUN[surface.name]
        silent = replace(CUT, begins=False)
        found = complaints(silent, surface, reply(sse(*begun, error)), stream=True)
        [complaint] = found
        assert re.fullmatch(r"broken \(status 200, \w+\), not refused", complaint)


@pytest.mark.parametrize(
    ("surface", "events"),
    [
        (OPENAI, [*OPENAI_BEGUN, openai_chunk("", "stop"), ("", OPENAI_ERROR)]),
        (
            ANTHROPIC,
            [*ANTHROPIC_BEGUN, ANTHROPIC_STREAM[-2], ("error", ANTHROPIC_ERROR)],
        ),
    ],
)
def test_an_error_behind_a_reason_to_end(surface, events):
    found = complaints(CUT, surface, reply(sse(*events)), stream=True)
    assert found == ("an error in an answer that has ended well",)
    late = replace(CUT, comes_late=True)
    assert complaints(late, surface, reply(sse(*events)), stream=True) == ()


@pytest.mark.parametrize(
    ("surface", "events", "complaint"),
    [
        (NATIVE, [("delta", {}), *NATIVE_STREAM], "a delta without text"),
        (NATIVE, [*NATIVE_STREAM, NATIVE_STREAM[-1]], "something follows the end"),
        (
            NATIVE,
            [*NATIVE_BEGUN, NATIVE_STREAM[-1]],
            "done has another text than the deltas",
        ),
        (OPENAI, [("", "{"), *OPENAI_STREAM], "an event that is not JSON"),
        (OPENAI, [*OPENAI_STREAM, OPENAI_USAGE], "something follows [DONE]"),
        (OPENAI, [openai_chunk(["x"]), *OPENAI_STREAM], "a delta whose content is no"),
        (ANTHROPIC, [*ANTHROPIC_STREAM, ("x", "{")], "an event that is not JSON"),
        (ANTHROPIC, ANTHROPIC_STREAM[1:], "the stream begins with content_block_delta"),
        (
            ANTHROPIC,
            [("ping", ANTHROPIC_STREAM[0][1]), *ANTHROPIC_STREAM[1:]],
            "an event under another event's name",
        ),
        (
            ANTHROPIC,
            [*ANTHROPIC_STREAM[:-1], typed("content_block_delta", delta={"text": 5})],
            "a delta whose text is no text",
        ),
    ],
)
def test_what_no_dialect_allows(surface, events, complaint):
    sound = Fault("chunks-100", ())
    found = complaints(sound, surface, reply(sse(*events)), stream=True)
    assert any(each.startswith(complaint) for each in found)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_comments_and_line_ends_do_not_matter(line_end):
    body = b": keep-alive\n\n" + sse(*OPENAI_STREAM)
    answer = reply(body.replace(b"\n", line_end))
    assert complaints(Fault("x", ()), OPENAI, answer, stream=True) == ()


def test_sdks_may_read_an_empty_answer_and_others_may_not():
    empty = Fault("fault-null-content", (BROKEN,), passes=True)
    nothing = orjson.dumps(OPENAI_ANSWER).replace(b'"%b"' % TEXT.encode(), b"null")
    assert complaints(empty, OPENAI, reply(nothing)) == ()
    blank = orjson.dumps(NATIVE_ANSWER).replace(TEXT.encode(), b"")
    assert complaints(empty, NATIVE, reply(blank)) == (
        "whole (status 200), not refused",
    )


def trace(*attempts: tuple[str, str, float]) -> dict:
    return {
        "data": {
            "attempts": [
                {
                    "provider": "sandbox",
                    "model": model,
                    "outcome": outcome,
                    "seconds": 0.1,
                    "waitedSeconds": waited,
                }
                for model, outcome, waited in attempts
            ]
        }
    }


class TestAttempts:
    def test_three_at_each_are_enough(self):
        asked = [(name, "failed", 0.0) for name in ("fault-503", "sandbox")] * 3
        assert judge_attempts(trace(*asked), 3) == []

    def test_four_at_one_are_too_many(self):
        asked = [("fault-503", "failed", 0.0)] * 4
        assert judge_attempts(trace(*asked), 3) == ["4 attempts at sandbox/fault-503"]

    def test_who_was_passed_over_was_not_asked(self):
        asked = [("fault-503", "passed_over", 0.0)] * 4
        assert judge_attempts(trace(*asked), 3) == []

    @pytest.mark.parametrize("answer", [None, {}, {"data": {}}, {"data": []}])
    def test_a_trace_that_tells_nothing(self, answer):
        assert judge_attempts(answer, 3) == ["the trace tells no attempts"]
        assert judge_restraint(answer, 2, 1.5) == ["the trace tells no attempts"]

    def test_restraint_is_counted_from_the_first_attempt(self):
        patient = trace(("m", "failed", 0.0), ("m", "failed", 2.0), ("m", "failed", 2))
        hasty = trace(("m", "failed", 0.0), ("m", "failed", 0.5), ("m", "failed", 0.5))
        assert judge_restraint(patient, 2, 1.5) == []
        assert judge_restraint(hasty, 2, 1.5) == ["3 attempts in 1.5 s"]

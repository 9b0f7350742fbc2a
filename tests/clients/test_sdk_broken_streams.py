"""Streams that break off: programs hear of it, and nothing looks complete."""

import anthropic
import openai
import pytest
from tests.clients.expectations import SPEAKERS
from tests.clients.program import BrokenOffError, Program, model_at
from tests.clients.words import CHAT, DIALECTS, MESSAGES

pytestmark = pytest.mark.integration

PROVIDERS = ("openai", "anthropic", "gemini", "bedrock")
ROADS = [(dialect, provider) for dialect in DIALECTS for provider in PROVIDERS]
TRANSLATED = [road for road in ROADS if road[1] not in SPEAKERS[road[0]]]
EVERYWHERE = pytest.mark.parametrize(("dialect", "provider"), ROADS)
FAULTS = ("fault-cut", "fault-no-finish", "fault-malformed", "fault-mid-stream-error")
BROKEN = pytest.mark.parametrize(
    ("model", "dialect", "provider"),
    [
        *((model, *road) for model in FAULTS for road in ROADS),
        # Content that passes through is not looked at.
        *(("fault-invalid-utf8", *road) for road in TRANSLATED),
    ],
)
# What ends a stream that is whole.
ENDS = (b"[DONE]", b"message_stop", b"response.completed", b"response.incomplete")
ADDRESSES = {CHAT: "/v1/chat/completions", MESSAGES: "/v1/messages"}


def hear(program: Program, model: str) -> None:
    """Listens to a stream of which the SDK must say that it broke off."""
    fields = program.says("Hello there")
    fields["model"] = model_at(program.provider, model)
    with pytest.raises((openai.APIError, anthropic.APIError, BrokenOffError)):
        program.stream(fields)
    # If nothing of the answer has come before, it is an error from the beginning.
    assert program.wiretap.status in (200, 502, 504, 529)


@BROKEN
def test_a_broken_stream_is_an_error(program, model, dialect, provider):
    hear(program(dialect, provider), model)


@EVERYWHERE
def test_a_stalled_stream_is_an_error(program_at, impatient, dialect, provider):
    hear(program_at(impatient, dialect, provider), "fault-stalled")


@BROKEN
def test_a_broken_stream_has_no_good_end(raw, program, dialect, provider, model):
    fields = program(dialect, provider).says("Hello there")
    fields |= {"model": model_at(provider, model), "stream": True}
    path = ADDRESSES.get(dialect, "/v1/responses")
    answer = raw(path, fields)
    assert answer.status_code in (200, 502, 529)
    assert not any(end in answer.content for end in ENDS)
    assert b'"error":' in answer.content.rpartition(b"data: ")[2]


@pytest.mark.parametrize(
    ("model", "dialect", "provider"),
    [
        *(("split-bytes", *road) for road in ROADS),
        # What passes through is as noisy as the upstream.
        *(("noisy-stream", *road) for road in TRANSLATED),
    ],
)
def test_a_stream_that_is_only_odd_is_whole(program, model, dialect, provider):
    asking = program(dialect, provider)
    fields = asking.says("Hello there")
    fields["model"] = model_at(provider, model)
    assert asking.stream(fields).text == 'The sandbox read: "Hello there"'

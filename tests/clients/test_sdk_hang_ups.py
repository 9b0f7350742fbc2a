"""Programs that hang up: the upstream is not left at work for nobody."""

import time

import anthropic
import openai
import pytest
from tests.clients.program import model_at
from tests.clients.words import CHAT, DIALECTS, RESPONSES

pytestmark = pytest.mark.integration

ROADS = pytest.mark.parametrize(
    ("dialect", "provider"),
    [
        (dialect, provider)
        for dialect in DIALECTS
        for provider in ("openai", "anthropic", "gemini", "bedrock")
    ],
)
SOON_SECONDS = 2.0


def await_abort(sandbox, before: int) -> None:
    """Waits until the sandbox notes that another caller has gone."""
    end = time.monotonic() + SOON_SECONDS
    while sandbox.stats()["aborted"] == before:
        assert time.monotonic() < end, "the upstream is still at work"
        time.sleep(0.02)


def create_of(program):
    """The function of the SDK that asks."""
    if program.dialect == CHAT:
        return program.sdk.chat.completions.create
    if program.dialect == RESPONSES:
        return program.sdk.responses.create
    return program.sdk.messages.create


# The service would give up at the very moment at which the SDK hangs up.
UNTOLD = {"x-stainless-timeout": "", "x-stainless-read-timeout": ""}


@ROADS
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_before_the_first_token(program, sandbox, dialect, provider, stream):
    asking = program(dialect, provider)
    fields = asking.says("Hello there") | {"stream": stream}
    fields["model"] = model_at(provider, "slow-first-token-20000")
    before = sandbox.stats()["aborted"]
    with pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError)):
        create_of(asking)(**fields, timeout=0.2, extra_headers=UNTOLD)
    await_abort(sandbox, before)


@ROADS
def test_in_the_middle_of_a_stream(program, sandbox, dialect, provider):
    asking = program(dialect, provider)
    fields = asking.says("Hello there") | {"stream": True}
    fields["model"] = model_at(provider, "fault-stalled")
    before = sandbox.stats()["aborted"]
    with create_of(asking)(**fields) as events:
        next(iter(events))
    await_abort(sandbox, before)

"""Errors as the vendors' SDKs raise them: typed, told once, with their ids."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from tests.clients.program import Program, model_at
from tests.clients.words import CHAT, DIALECTS, MESSAGES, RESPONSES

pytestmark = pytest.mark.integration

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)
SDKS = {CHAT: openai, RESPONSES: openai, MESSAGES: anthropic}
PATHS = {
    CHAT: "/v1/chat/completions",
    RESPONSES: "/v1/responses",
    MESSAGES: "/v1/messages",
}
# One provider for each dialect of upstreams.
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock")


class Raised(NamedTuple):
    """What both SDKs raise, by name, and at which status."""

    openai: str
    anthropic: str
    openai_status: int
    anthropic_status: int


# Streams of these are of a kind of their own.
PLAIN_ONLY = ("fault-cut", "fault-malformed")
UPSTREAM_FAILED = Raised("InternalServerError", "InternalServerError", 502, 502)
# What an upstream answers, and what a program is told.
FAULTS: Mapping[str, Raised] = {
    "fault-400": Raised("BadRequestError", "BadRequestError", 400, 400),
    "fault-413": Raised("BadRequestError", "BadRequestError", 400, 400),
    "fault-400-context-length": Raised("BadRequestError", "BadRequestError", 400, 400),
    "fault-429": Raised("RateLimitError", "RateLimitError", 429, 429),
    # What the operator has to mend is not the caller's fault.
    "fault-401": UPSTREAM_FAILED,
    "fault-403": UPSTREAM_FAILED,
    "fault-500": UPSTREAM_FAILED,
    "fault-503": UPSTREAM_FAILED,
    "fault-no-response": UPSTREAM_FAILED,
    "fault-html": UPSTREAM_FAILED,
    "fault-cut": UPSTREAM_FAILED,
    "fault-malformed": UPSTREAM_FAILED,
    "fault-529": Raised("InternalServerError", "OverloadedError", 502, 529),
}


def raised_by(ask: Any, program: Program, **fields: Any) -> Any:
    """The status error that the SDK raises."""
    with pytest.raises(SDKS[program.dialect].APIStatusError) as caught:
        ask({**program.says("Hello there"), **fields})
    return caught.value


def ways() -> list:
    return [
        pytest.param(
            model, dialect, provider, way, id=f"{model}-{dialect}-{provider}-{way}"
        )
        for model in FAULTS
        for dialect in DIALECTS
        for provider in PROVIDERS
        for way in ("plain", "stream")[: 1 if model in PLAIN_ONLY else 2]
    ]


@pytest.mark.parametrize(("model", "dialect", "provider", "way"), ways())
def test_an_upstreams_failure_is_a_typed_error(program, model, dialect, provider, way):
    asking = program(dialect, provider)
    error = raised_by(getattr(asking, way), asking, model=model_at(provider, model))
    sdk, expected = SDKS[dialect].__name__, FAULTS[model]
    assert type(error).__name__ == getattr(expected, sdk)
    assert error.status_code == getattr(expected, f"{sdk}_status")
    # The service has tried again where that made sense; the SDK must not.
    assert error.response.headers["x-should-retry"] == "false"
    assert error.request_id == error.response.headers["x-request-id"]


@EVERY_DIALECT
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_error_as_the_first_event_is_one_from_the_beginning(
    program, dialect, provider
):
    asking = program(dialect, provider)
    model = model_at(provider, "fault-first-event-error")
    error = raised_by(asking.stream, asking, model=model)
    assert error.status_code in (502, 529)


@EVERY_DIALECT
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_rate_limit_says_when_it_ends(program, dialect, provider):
    asking = program(dialect, provider)
    model = model_at(provider, "fault-429-retry-after-2")
    error = raised_by(asking.plain, asking, model=model)
    assert error.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES])
def test_the_vendors_own_words_come_through(program, dialect):
    asking = program(dialect, "openai")
    error = raised_by(asking.plain, asking, model="openai/sandbox", temperature=3)
    assert (error.param, error.type) == ("temperature", "invalid_request_error")
    assert "Expected a value <= 2.0" in error.message


@EVERY_DIALECT
def test_nobody_tries_again_what_the_service_has_tried(
    program_at, service, sandbox, dialect
):
    asking = program_at(service, dialect, "openai")
    # As a program has it that says nothing about it.
    asking.sdk.max_retries = 2
    before = sandbox.stats()["requests"]
    raised_by(asking.plain, asking, model="openai/fault-500")
    assert sandbox.stats()["requests"] == before + 1


@EVERY_DIALECT
@pytest.mark.parametrize("way", ["plain", "stream"])
def test_a_silent_upstream_is_504(program_at, impatient, dialect, way):
    asking = program_at(impatient, dialect, "openai")
    error = raised_by(getattr(asking, way), asking, model="openai/fault-hang")
    assert error.status_code == 504
    assert error.response.headers["x-should-retry"] == "false"


@EVERY_DIALECT
@pytest.mark.parametrize("provider", [*PROVIDERS, "azure", "compatible"])
@pytest.mark.parametrize("way", ["plain", "stream"])
def test_models_that_an_upstream_does_not_know_are_404(program, dialect, provider, way):
    asking = program(dialect, provider)
    model = model_at(provider, "no-such-model")
    error = raised_by(getattr(asking, way), asking, model=model)
    assert isinstance(error, SDKS[dialect].NotFoundError)


@EVERY_DIALECT
def test_unknown_models_are_404(program, dialect):
    asking = program(dialect, "openai")
    error = raised_by(asking.plain, asking, model="no-such-model")
    assert isinstance(error, SDKS[dialect].NotFoundError)
    if dialect == MESSAGES:
        assert error.type == "not_found_error"
    else:
        assert (error.code, error.param) == ("model_not_found", "model")


@EVERY_DIALECT
@pytest.mark.parametrize("model", [None, "", 7])
def test_a_missing_model_is_400(raw, program, dialect, model):
    body = program(dialect, "openai").says("Hello there") | {"model": model}
    answer = raw(PATHS[dialect], body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "model" in error["message"]


@EVERY_DIALECT
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_huge_numbers_are_400(raw, program, dialect, provider, number):
    fields = program(dialect, provider).says("Hello there")
    fields |= {"model": f"{provider}/sandbox", "temperature": "NUMBER"}
    body = json.dumps(fields).replace('"NUMBER"', number).encode()
    assert raw(PATHS[dialect], body).status_code == 400


@EVERY_DIALECT
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"model":', b'{"model": "\\ud800"}', b"\xff"]
)
def test_what_is_no_request_is_400(raw, dialect, body):
    answer = raw(PATHS[dialect], body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@EVERY_DIALECT
def test_unknown_addresses_answer_in_the_vendors_way(raw, dialect):
    answer = raw(f"{PATHS[dialect]}/no/such/place", {})
    assert answer.status_code == 404
    expected = {
        MESSAGES: "not_found_error",
    }.get(dialect, "invalid_request_error")
    assert answer.json()["error"]["type"] == expected

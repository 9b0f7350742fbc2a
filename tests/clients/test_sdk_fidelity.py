"""What passes through between programs and upstreams of the same dialect."""

import json

import httpx2
import pytest
from tests.clients.conftest import UPSTREAM_KEY
from tests.clients.words import CHAT, DIALECTS, MESSAGES, RESPONSES

pytestmark = pytest.mark.integration

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)
VENDORS = {CHAT: "openai", RESPONSES: "openai", MESSAGES: "anthropic"}
PATHS = {
    CHAT: "/v1/chat/completions",
    RESPONSES: "/v1/responses",
    MESSAGES: "/v1/messages",
}
BETAS = "interleaved-thinking-2025-05-14,  context-1m-2025-08-07,unheard-of-2031-01-01"


def body_of(program, dialect: str, model: str, **more: object) -> bytes:
    """A body that no SDK would write this way."""
    fields = program(dialect, VENDORS[dialect]).says("Hällo \u2028 there")
    fields |= {"model": f"{VENDORS[dialect]}/{model}", **more}
    return b" " + json.dumps(fields, indent=3).encode() + b"\n"


@EVERY_DIALECT
def test_nothing_of_a_request_changes_but_the_model(raw, program, sandbox, dialect):
    body = body_of(program, dialect, "sandbox", metadata={"user_id": "7"})
    assert raw(PATHS[dialect], body).status_code == 200
    vendor = VENDORS[dialect].encode()
    sent = body.replace(b'"%b/sandbox"' % vendor, b'"sandbox"')
    assert sandbox.received()["body"].encode() == sent


@pytest.mark.parametrize("stream", [False, True])
def test_unknown_fields_reach_the_upstream(raw, program, sandbox, stream):
    more = {"stream": True} if stream else {}
    body = body_of(program, CHAT, "lenient", invented=[{"n": 1.50}], **more)
    assert raw(PATHS[CHAT], body).status_code == 200
    assert '"invented": [' in sandbox.received()["body"]
    assert sandbox.body()["invented"] == [{"n": 1.5}]


@EVERY_DIALECT
@pytest.mark.parametrize("stream", [False, True])
def test_answers_come_down_byte_for_byte(raw, program, sandbox, dialect, stream):
    more = {"stream": True} if stream else {}
    if stream and dialect == CHAT:
        more["stream_options"] = {"include_usage": True}
    answer = raw(PATHS[dialect], body_of(program, dialect, "reasoning", **more))
    assert answer.content == ask_directly(sandbox).content
    assert answer.status_code == 200


def ask_directly(sandbox) -> httpx2.Response:
    """Sends the sandbox once more what it has got last."""
    last = sandbox.received()
    return httpx2.request(
        last["method"],
        sandbox.url + last["path"],
        content=last["body"].encode(),
        headers={
            name: value
            for name, value in last["headers"].items()
            if name not in ("host", "content-length")
        },
    )


@pytest.mark.parametrize("asked", [None, False, True])
def test_usage_is_always_asked_for_and_shown_only_if_wanted(
    raw, program, sandbox, asked
):
    more = {} if asked is None else {"stream_options": {"include_usage": asked}}
    answer = raw(PATHS[CHAT], body_of(program, CHAT, "sandbox", stream=True, **more))
    assert sandbox.body()["stream_options"] == {"include_usage": True}
    assert (b'"usage"' in answer.content) is bool(asked)
    assert answer.content.endswith(b"data: [DONE]\n\n")


def test_usage_is_shown_only_if_wanted_where_chat_is_translated(raw, program):
    body = body_of(program, CHAT, "sandbox", stream=True)
    answer = raw(PATHS[CHAT], body.replace(b"openai/sandbox", b"anthropic/sandbox"))
    assert b'"usage"' not in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_anthropics_headers_travel_byte_for_byte(raw, program, sandbox, path):
    fields = program(MESSAGES, "anthropic").says("Hello")
    if path.endswith("tokens"):
        del fields["max_tokens"]
    raw(
        path,
        fields | {"model": "anthropic/sandbox"},
        anthropic_beta=BETAS,
        anthropic_version="2023-06-01",
    )
    headers = sandbox.received()["headers"]
    assert headers["anthropic-beta"] == BETAS
    assert headers["anthropic-version"] == "2023-06-01"


def test_anthropics_version_is_made_up_for(raw, program, sandbox):
    raw(PATHS[MESSAGES], body_of(program, MESSAGES, "sandbox"))
    assert sandbox.received()["headers"]["anthropic-version"] == "2023-06-01"


@EVERY_DIALECT
def test_the_callers_key_goes_no_further(raw, program, sandbox, dialect):
    raw(PATHS[dialect], body_of(program, dialect, "sandbox"))
    received = json.dumps(sandbox.received())
    assert "key-of-alice" not in received
    assert UPSTREAM_KEY in received


@EVERY_DIALECT
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("way", ["plain", "stream"])
def test_limits_and_ids_of_the_upstream_come_through(program, dialect, provider, way):
    asking = program(dialect, provider)
    fields = asking.says("Hello there") | {"model": f"{provider}/sandbox"}
    getattr(asking, way)(fields)
    headers = asking.wiretap.headers
    limits = "anthropic-ratelimit-" if provider == "anthropic" else "x-ratelimit-"
    assert any(name.startswith(limits) for name in headers)
    assert headers["x-upstream-request-id"] != headers["x-request-id"]
    if dialect == MESSAGES:
        assert headers["request-id"] == headers["x-request-id"]


@pytest.mark.parametrize("name", ["bad\r\nset-cookie: a=b", "ü", "x" * 100, "a b"])
def test_only_names_stand_in_the_header_of_what_was_left_out(raw, program, name):
    fields = program(CHAT, "anthropic").says("Hello there")
    fields |= {"model": "anthropic/sandbox", name: 1, "invented": 1}
    answer = raw(PATHS[CHAT], fields)
    assert answer.headers["x-llm-proxy-dropped"] == "invented"
    assert "set-cookie" not in answer.headers

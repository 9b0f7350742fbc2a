import json
import re

import httpx
import pytest

OPENAI = "/chat/completions"
ANTHROPIC = "/messages"
BOTH = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])


def read_events(body: bytes) -> list[dict]:
    lines = re.findall(r"^data: (.*?)\r?$", body.decode(), re.MULTILINE)
    return [json.loads(line) for line in lines if line != "[DONE]"]


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 500, 503])
async def test_fails_with_a_status(ask, path, status):
    response = await ask(path, f"fault-{status}")
    assert response.status_code == status
    assert set(response.json()["error"]) >= {"type", "message"}


@pytest.mark.parametrize(
    ("path", "model", "status", "type_"),
    [
        (OPENAI, "fault-400-context-length", 400, "invalid_request_error"),
        (OPENAI, "fault-no-credit", 429, "insufficient_quota"),
        (OPENAI, "fault-429", 429, "requests"),
        (OPENAI, "fault-529", 529, "server_error"),
        (ANTHROPIC, "fault-400-context-length", 400, "invalid_request_error"),
        (ANTHROPIC, "fault-no-credit", 402, "billing_error"),
        (ANTHROPIC, "fault-429", 429, "rate_limit_error"),
        (ANTHROPIC, "fault-500", 500, "api_error"),
        (ANTHROPIC, "fault-529", 529, "overloaded_error"),
    ],
)
async def test_error_types_are_the_vendors(ask, path, model, status, type_):
    response = await ask(path, model)
    assert response.status_code == status
    assert response.json()["error"]["type"] == type_


async def test_context_length_says_so(ask):
    openai = (await ask(OPENAI, "fault-400-context-length")).json()["error"]
    anthropic = (await ask(ANTHROPIC, "fault-400-context-length")).json()["error"]
    assert openai["code"] == "context_length_exceeded"
    assert anthropic["message"].startswith("prompt is too long")


async def test_flaky_counts_every_request_body_for_itself(ask):
    one = [await ask(OPENAI, "flaky-1", text="one") for _ in range(2)]
    other = [await ask(OPENAI, "flaky-1", text="other") for _ in range(4)]
    assert [r.status_code for r in one] == [503, 200]
    assert [r.status_code for r in other] == [503, 200, 503, 200]


async def test_flaky_memory_is_bounded(sandbox, ask):
    for number in range(1001):
        await ask(OPENAI, "flaky", text=str(number))
    assert len(sandbox.app.state.failures) <= 1000


async def test_chunks_count(ask):
    response = await ask(OPENAI, "chunks-5", stream=True)
    deltas = [e["choices"][0]["delta"] for e in read_events(response.content)]
    contents = [delta["content"] for delta in deltas if delta.get("content")]
    assert contents == ["1 ", "2 ", "3 ", "4 ", "5 "]


@pytest.mark.parametrize(
    ("model", "reason", "stop_reason"),
    [
        ("length", "length", "max_tokens"),
        ("content-filter", "content_filter", "refusal"),
        ("refusal", "stop", "refusal"),
        ("tool-calls", "tool_calls", "tool_use"),
        ("fault-no-finish", None, None),
    ],
)
async def test_endings(ask, model, reason, stop_reason):
    openai, anthropic = (await ask(OPENAI, model)), (await ask(ANTHROPIC, model))
    assert openai.json()["choices"][0]["finish_reason"] == reason
    assert anthropic.json()["stop_reason"] == stop_reason


async def test_a_refusal_stands_in_its_own_field(ask):
    message = (await ask(OPENAI, "refusal")).json()["choices"][0]["message"]
    stream = read_events((await ask(OPENAI, "refusal", stream=True)).content)
    deltas = [event["choices"][0]["delta"] for event in stream]
    assert message["content"] is None
    assert "".join(d.get("refusal", "") for d in deltas) == message["refusal"]


async def test_tool_calls_have_no_text(ask):
    message = (await ask(OPENAI, "tool-calls")).json()["choices"][0]["message"]
    [block] = (await ask(ANTHROPIC, "tool-calls")).json()["content"]
    assert message["content"] is None
    [call] = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == block["input"]


async def test_tool_calls_come_in_pieces(ask):
    openai = read_events((await ask(OPENAI, "tool-calls", stream=True)).content)
    calls = [
        call
        for event in openai
        for call in event["choices"][0]["delta"].get("tool_calls", [])
    ]
    anthropic = read_events((await ask(ANTHROPIC, "tool-calls", stream=True)).content)
    pieces = [event.get("delta", {}).get("partial_json", "") for event in anthropic]
    assert calls[0]["function"]["name"] == "lookup"
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == json.loads("".join(pieces))


@pytest.mark.parametrize(
    ("model", "openai", "anthropic"),
    [
        ("missing-usage", None, None),
        ("negative-usage", -1000, -1000),
        ("huge-usage", 10**18, 10**18),
    ],
)
async def test_usage_as_it_should_not_be(ask, model, openai, anthropic):
    first = (await ask(OPENAI, model)).json().get("usage", {})
    second = (await ask(ANTHROPIC, model)).json().get("usage", {})
    assert first.get("completion_tokens") == openai
    assert second.get("output_tokens") == anthropic


async def test_unasked_usage_is_the_last_chunk(ask):
    *_, last = read_events((await ask(OPENAI, "unasked-usage", stream=True)).content)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0


@BOTH
async def test_noise_does_not_change_what_is_said(ask, path):
    quiet = (await ask(path, "sandbox", stream=True)).text
    noisy = (await ask(path, "noisy-stream", stream=True)).text
    events = [
        event
        for event in noisy.replace("\r\n", "\n").split("\n\n")
        if event and not event.startswith((":", "event: heartbeat"))
    ]
    assert ": a comment\r\n" in noisy
    assert len(events) == len([event for event in quiet.split("\n\n") if event])


@BOTH
@pytest.mark.parametrize("model", ["gzip", "fault-gzip-bomb-8"])
async def test_compresses_unasked(client, ask, path, model):
    client.headers["accept-encoding"] = "identity"
    response = await ask(path, model)
    assert response.headers["content-encoding"] == "gzip"
    assert response.num_bytes_downloaded < 50_000


@BOTH
async def test_a_mid_stream_error_comes_after_text(ask, path):
    events = read_events(
        (await ask(path, "fault-mid-stream-error", stream=True)).content
    )
    errors = ["error" in event for event in events]
    assert errors == [False] * (len(events) - 1) + [True]
    assert "The " in json.dumps(events[:-1])


@BOTH
async def test_a_first_event_error_comes_alone(ask, path):
    response = await ask(path, "fault-first-event-error", stream=True)
    assert response.status_code == 200
    [event] = read_events(response.content)
    assert "error" in event


async def test_a_malformed_event_stands_among_good_ones(ask):
    response = await ask(OPENAI, "fault-malformed", stream=True)
    lines = re.findall(r"^data: (\{.*)$", response.text, re.MULTILINE)
    bad = [line for line in lines if not line.endswith("}")]
    assert len(bad) == 1
    assert lines[0] not in bad
    assert lines[-1] not in bad


async def test_nothing_is_sent_instead_of_a_response(ask):
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await ask(OPENAI, "fault-no-response")


async def test_redirects_to_an_address_that_is_recorded(sandbox, client, ask):
    response = await ask(OPENAI, "fault-redirect")
    assert response.status_code == 302
    await client.send(response.next_request)
    assert sandbox.app.state.requests[-1].path == "/v1/redirected"


@BOTH
async def test_no_done_leaves_out_the_last_event_alone(ask, path):
    whole = (await ask(path, "sandbox", stream=True)).text.split("\n\n")
    cut = (await ask(path, "no-done", stream=True)).text.split("\n\n")
    assert len(cut) == len(whole) - 1
    assert "stop" in cut[-2]


async def test_sends_headers_before_a_slow_first_token(sandbox, client, build):
    request = build(OPENAI, "slow-first-token-60000", stream=True)
    response = await client.send(request, stream=True)
    assert response.status_code == 200
    assert sandbox.app.state.traffic.open == 1
    await response.aclose()


@BOTH
async def test_cuts_after_some_text(client, build, path):
    response = await client.send(build(path, "fault-cut", stream=True), stream=True)
    received = []

    async def read():
        async for part in response.aiter_raw():
            received.append(part)

    with pytest.raises(httpx.RemoteProtocolError):
        await read()
    assert b"The " in b"".join(received)

"""The tool loop of Anthropic's SDK, which at first sends new messages only."""

import json

import anthropic as anthropic_sdk
import pytest

pytestmark = pytest.mark.integration

# The first speaks the dialect of the program; for the others it is translated.
PROVIDERS = pytest.mark.parametrize("provider", ["anthropic", "openai", "bedrock"])
WITH_AND_WITHOUT_STREAM = pytest.mark.parametrize("stream", [False, True])


@anthropic_sdk.beta_tool
def look_up(city: str) -> str:
    """Looks up the weather."""
    return f"Sunny in {len(city)} letters"


@PROVIDERS
@WITH_AND_WITHOUT_STREAM
def test_a_tool_loop_keeps_the_whole_history(anthropic, sandbox, provider, stream):
    runner = anthropic.beta.messages.tool_runner(
        model=f"{provider}/sandbox",
        max_tokens=200,
        tools=[look_up],
        messages=[{"role": "user", "content": "Please look_up the weather"}],
        stream=stream,
    )
    last = runner.until_done()
    assert "Sunny in" in last.content[0].text
    sent = json.dumps(sandbox.body())
    for words in ("Please look_up the weather", "Sunny in"):
        assert words in sent


@PROVIDERS
@pytest.mark.parametrize(
    "thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}]
)
def test_threads_are_refused_in_the_vendors_words(raw, provider, thread):
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny"}
    body = {
        "model": f"{provider}/sandbox",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [result]}],
        "thread": thread,
    }
    response = raw("/v1/messages", body, anthropic_version="2023-06-01")
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["details"] == {"error_code": "thread_unsupported_request"}

import json
import re
from functools import partial

import httpx
import orjson
import pytest

from llm_proxy.providers.sandbox import MODELS

OPENAI = {"authorization": "Bearer any"}
ANTHROPIC = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
FILE = ("a.bin", b"\x00\xff", "application/octet-stream")
# What a request needs besides a model, as JSON or as a form.
JSON = {
    "/completions": {"prompt": "x"},
    "/embeddings": {"input": "x"},
    "/moderations": {"input": "x"},
    "/images/generations": {"prompt": "x"},
    "/audio/speech": {"input": "x", "voice": "alloy"},
    "/responses": {"input": "x"},
    "/responses/input_tokens": {"input": "x"},
    "/messages/count_tokens": {"messages": [{"role": "user", "content": "x"}]},
}
FORMS = {
    "/images/edits": {"image": FILE, "prompt": (None, "x")},
    "/images/variations": {"image": FILE},
    "/audio/transcriptions": {"file": FILE},
    "/audio/translations": {"file": FILE},
}
EVERYWHERE = pytest.mark.parametrize("path", [*JSON, *FORMS])
MOST_BYTES = 1_000_000


@pytest.fixture
def call(client):
    async def call(path: str, model: str, **more) -> httpx.Response:
        headers = ANTHROPIC if path.startswith("/messages") else OPENAI
        if path in FORMS:
            files = {"model": (None, model), **FORMS[path]}
            return await client.post(path, files=files, headers=headers)
        body = {"model": model, **JSON[path], **more}
        return await client.post(path, json=body, headers=headers)

    return call


@EVERYWHERE
async def test_a_well_behaved_model_answers(call, path):
    response = await call(path, "sandbox")
    assert response.status_code == 200
    assert response.content


@EVERYWHERE
async def test_demands_credentials(client, path):
    response = await client.post(path, json={})
    assert response.status_code == 401


@EVERYWHERE
async def test_unknown_models_are_404(call, path):
    response = await call(path, "gpt-4")
    assert response.status_code == 404
    assert "gpt-4" in response.json()["error"]["message"]


@EVERYWHERE
@pytest.mark.parametrize("status", [400, 429, 500, 529])
async def test_fails_with_a_status(call, path, status):
    response = await call(path, f"fault-{status}")
    assert response.status_code == status
    assert response.json()["error"]["message"]


@EVERYWHERE
@pytest.mark.parametrize("model", ["fault-cut", "fault-no-response", "fault-hang"])
async def test_breaks_off(client, call, path, model):
    client.timeout = httpx.Timeout(10, read=0.15)
    with pytest.raises(httpx.TransportError):
        await call(path, model)


@EVERYWHERE
async def test_flaky_fails_and_answers(call, path):
    statuses = [(await call(path, "flaky-1")).status_code for _ in range(2)]
    assert statuses == [503, 200]


@EVERYWHERE
@pytest.mark.parametrize(
    ("model", "media_type", "empty"),
    [("fault-html", "text/html", False), ("fault-empty-body", None, True)],
)
async def test_sends_something_else(call, path, model, media_type, empty):
    response = await call(path, model)
    assert response.status_code == 200
    assert (response.content == b"") == empty
    assert (media_type or "") in response.headers["content-type"]


@EVERYWHERE
async def test_has_the_headers_of_the_vendor(call, path):
    headers = (await call(path, "sandbox")).headers
    if path.startswith("/messages"):
        assert headers["request-id"].startswith("req_")
        assert headers["anthropic-ratelimit-requests-remaining"] == "3999"
    else:
        assert headers["x-request-id"].startswith("req_")
        assert headers["openai-processing-ms"] == "1"
        assert headers["x-ratelimit-limit-requests"] == "10000"


def last_response(response: httpx.Response, stream: bool) -> dict:
    """The response that is said to be final, as a careful client finds it."""
    assert response.status_code == 200
    assert len(response.content) < MOST_BYTES
    kind = "text/event-stream" if stream else "application/json"
    assert response.headers["content-type"].startswith(kind)
    if not stream:
        return orjson.loads(response.content)
    lines = re.findall(r"^data: (.*?)\r?$", response.content.decode(), re.MULTILINE)
    events = [orjson.loads(line) for line in lines]
    known = [event for event in events if event["type"] != "heartbeat"]
    assert all(isinstance(event.get("delta", ""), str) for event in known)
    numbers = [event["sequence_number"] for event in known]
    assert numbers == list(range(len(known)))
    return known[-1].get("response", {})


async def test_a_model_completes_its_response_unless_it_is_a_fault(
    client, call, name, persist
):
    client.timeout = httpx.Timeout(10, read=0.15 if "fault" in name else 10)
    # Elsewhere the last event is a mere `[DONE]`; here it is what completes.
    always = "fault" in name or name == "no-done"
    for stream in (False, True):
        fails = always or MODELS[name].streams_only > stream
        try:
            response = await persist(partial(call, "/responses", stream=stream))
            final = last_response(response, stream)
            assert final["status"] in ("completed", "incomplete")
            said = json.dumps(final["output"])
            assert re.search(r'"(text|refusal|arguments)": "[^"]', said)
        except (AssertionError, LookupError, TypeError, ValueError, httpx.RequestError):
            assert fails, stream
        else:
            assert not fails, stream

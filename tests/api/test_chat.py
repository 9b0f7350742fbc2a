import json

import httpx
import pytest
import respx

from llm_proxy.api.schemas import ChatAnswer
from llm_proxy.main import create_app

PATHS = ["/chat", "/api/v1/chat"]
BODY = {"provider": "openai", "model": "gpt-4", "prompt": "Tell me a joke"}
JOKE = "Why did the model cross the road?"


@pytest.mark.parametrize("path", PATHS)
async def test_a_prompt_is_answered(client, path):
    answer = await client().post(path, json=BODY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert 0 <= body["meta"].pop("processing_time") < 60
    assert body == {
        "provider": "openai",
        "model": "gpt-4",
        "response": JOKE,
        "meta": {
            "requestId": answer.headers["x-request-id"],
            "model": "gpt-4-0613",
            "finish_reason": "stop",
            "usage": {"input_tokens": 11, "output_tokens": 7, "source": "provider"},
            "cost": None,
            "cached": False,
            "pii": [],
            "injection": [],
        },
    }


async def test_the_answer_is_what_the_documentation_says(client):
    answer = await client().chat()
    assert ChatAnswer.model_validate_json(answer.content, strict=True)


async def test_openai_gets_exactly_its_request(client, upstream):
    await client().chat()
    request = upstream.openai.calls.last.request
    assert request.headers["authorization"] == "Bearer openai-key"
    assert json.loads(request.content) == {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Tell me a joke"}],
    }


async def test_anthropic_gets_exactly_its_request(client, upstream):
    await client().chat(provider="anthropic", model="claude-sonnet-4-5")
    request = upstream.anthropic.calls.last.request
    assert request.headers["x-api-key"] == "anthropic-key"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(request.content) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Tell me a joke"}],
    }


async def test_respx_mocks_the_upstream_of_an_application(client, settings):
    with respx.mock(using="httpx") as router:
        route = router.post("https://api.openai.com/v1/chat/completions").respond(
            json={"choices": [{"message": {"content": "Mocked"}}]}
        )
        answer = await client(create_app(settings())).chat()
    assert answer.json()["response"] == "Mocked"
    assert route.called


async def test_options_reach_the_model(client, upstream):
    await client().chat(
        system="Be brief.",
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
        ],
        temperature=0.5,
        max_tokens=20,
    )
    assert upstream.sent == [
        {
            "model": "gpt-4",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi"},
                {"role": "user", "content": "Tell me a joke"},
            ],
            "temperature": 0.5,
            "max_completion_tokens": 20,
        }
    ]


async def test_null_and_unknown_fields_say_nothing(client, upstream):
    nulls = ("system", "messages", "temperature", "max_tokens", "stream")
    answer = await client().chat(**dict.fromkeys(nulls), colour="blue")
    assert answer.status_code == 200
    assert upstream.sent[0].keys() == {"model", "messages"}


async def test_providers_are_named_in_any_case(client):
    answer = await client().chat(provider="OpenAI")
    assert answer.json()["provider"] == "openai"


@pytest.mark.parametrize(
    ("prompt", "sent"),
    [
        ("  Hello\n", "Hello"),
        ("a\x00b\x1b\x85c\td\r\n", "abc\td"),
        ("Cafe\u0301", "Café"),
        ("\U0001f600" * 4000, "\U0001f600" * 4000),
        ("<img onerror=x>", "<img onerror=x>"),
    ],
    ids=["blanks", "controls", "composed", "4000 characters", "markup"],
)
async def test_text_is_cleaned_and_otherwise_left_alone(client, upstream, prompt, sent):
    upstream.says(sent)
    answer = await client().chat(prompt)
    assert upstream.sent[0]["messages"][0]["content"] == sent
    assert answer.json()["response"] == sent


@pytest.mark.parametrize("field", ["provider", "model", "prompt"])
async def test_a_body_without_a_required_field_is_refused(client, field):
    body = {name: value for name, value in BODY.items() if name != field}
    answer = await client().post("/chat", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == [
        {"field": field, "problem": "Field required"}
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", ""),
        ("provider", "x" * 65),
        ("provider", "../openai"),
        ("model", ""),
        ("model", "x" * 201),
        ("model", "gpt 4"),
        ("model", "gpt-4\n"),
        ("prompt", " \n\t\x00"),
        ("prompt", "x" * 4001),
        ("prompt", 1),
        ("prompt", None),
        ("system", "x" * 4001),
        ("messages", "Hello"),
        ("messages", [{"role": "user", "content": "x"}] * 101),
        ("messages.0.role", [{"role": "system", "content": "x"}]),
        ("messages.0.content", [{"role": "user", "content": ""}]),
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("temperature", "1"),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", 10**30),
        ("stream", "yes"),
    ],
)
async def test_a_wrong_field_is_named_and_goes_nowhere(client, upstream, field, value):
    answer = await client().chat(**{field.partition(".")[0]: value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["message"] == f"The request is not valid: {field}"
    assert [detail["field"] for detail in error["details"]] == [field]
    assert upstream.sent == []


async def test_problems_are_told_in_plain_words(client):
    answer = await client().chat("x" * 4001)
    assert answer.json()["error"]["details"] == [
        {"field": "prompt", "problem": "must have at most 4000 characters, has 4001"}
    ]


async def test_the_longest_prompt_is_a_setting(client):
    caller = client(max_prompt_length=5)
    assert (await caller.chat("12345")).status_code == 200
    assert (await caller.chat("123456")).status_code == 400


async def test_an_unknown_provider_is_the_callers_mistake(client, upstream):
    answer = await client().chat(provider="opena")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "UNKNOWN_PROVIDER"
    assert "Did you mean 'openai'?" in error["message"]
    assert "anthropic" in error["message"]
    assert upstream.sent == []


async def test_a_missing_provider_key_is_ours(client, upstream):
    answer = await client(anthropic_api_key=None).chat(provider="anthropic")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "PROVIDER_NOT_CONFIGURED"
    assert "ANTHROPIC_API_KEY" not in answer.text
    assert upstream.sent == []


@pytest.mark.parametrize(
    ("status", "error", "told", "code"),
    [
        (401, {"code": "invalid_api_key"}, 502, "LLM_CREDENTIALS_REJECTED"),
        (403, {}, 502, "LLM_CREDENTIALS_REJECTED"),
        (429, {}, 502, "LLM_RATE_LIMITED"),
        (429, {"code": "insufficient_quota"}, 502, "LLM_QUOTA_EXHAUSTED"),
        (500, {}, 502, "LLM_UNAVAILABLE"),
        (529, {}, 502, "LLM_UNAVAILABLE"),
        (302, {}, 502, "LLM_BAD_RESPONSE"),
        (200, {"type": "server_error"}, 502, "LLM_UNAVAILABLE"),
        (404, {"code": "model_not_found"}, 400, "UNSUPPORTED_MODEL"),
        (400, {"code": "context_length_exceeded"}, 400, "PROMPT_TOO_LONG"),
        (400, {"message": "temperature"}, 400, "LLM_REQUEST_REJECTED"),
    ],
)
async def test_what_an_upstream_refuses(client, upstream, status, error, told, code):
    upstream.fails(status, {"error": error})
    answer = await client().chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (told, code)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (httpx.ConnectError("no route"), 502, "LLM_CONNECTION_ERROR"),
        (httpx.ConnectTimeout("slow"), 502, "LLM_CONNECTION_ERROR"),
        (httpx.RemoteProtocolError("gone"), 502, "LLM_CONNECTION_LOST"),
        (httpx.ReadTimeout("silent"), 504, "LLM_TIMEOUT"),
    ],
)
async def test_an_upstream_out_of_reach(client, upstream, error, status, code):
    upstream.breaks(error)
    answer = await client().chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "body", ["", "{}", '{"choices": []}', '{"choices": [{"message": {}}]}', "<html>"]
)
async def test_an_answer_that_is_none(client, upstream, body):
    upstream.openai.respond(200, text=body, content_type="application/json")
    answer = await client().chat()
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "LLM_BAD_RESPONSE"


async def test_aliases_are_models_of_the_proxy(client, tmp_path):
    (tmp_path / "llm-proxy.yaml").write_text(
        "models: {smart: {deployments: [{model: anthropic/claude-opus-4}]}}"
    )
    caller = client()
    answer = await caller.chat(provider="llm-proxy", model="smart")
    assert (answer.json()["provider"], answer.json()["model"]) == (
        "anthropic",
        "claude-opus-4",
    )
    unknown = await caller.chat(provider="llm-proxy", model="smarter")
    assert unknown.json()["error"]["code"] == "UNSUPPORTED_MODEL"


async def test_a_fallback_answers_in_its_own_name(client, upstream):
    upstream.openai.respond(503)
    answer = await client(llm_fallback_provider="anthropic").chat()
    assert answer.json()["provider"] == "anthropic"
    assert answer.json()["response"] == JOKE

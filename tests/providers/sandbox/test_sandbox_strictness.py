import pytest

OPENAI = "/chat/completions"
ANTHROPIC = "/messages"
BOTH = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])


@pytest.mark.parametrize(
    ("path", "headers", "status", "type_"),
    [
        (OPENAI, {}, 401, "invalid_request_error"),
        (OPENAI, {"authorization": "Basic abc"}, 401, "invalid_request_error"),
        (OPENAI, {"authorization": "Bearer"}, 401, "invalid_request_error"),
        (
            ANTHROPIC,
            {"anthropic-version": "2023-06-01"},
            401,
            "authentication_error",
        ),
        (ANTHROPIC, {"x-api-key": "any"}, 400, "invalid_request_error"),
    ],
)
async def test_demands_credentials(client, build, path, headers, status, type_):
    request = build(path)
    for name in ("authorization", "x-api-key", "anthropic-version"):
        request.headers.pop(name, None)
    request.headers.update(headers)
    response = await client.send(request)
    assert response.status_code == status
    assert response.json()["error"]["type"] == type_


async def test_anthropic_takes_a_bearer(client, build):
    request = build(ANTHROPIC)
    request.headers["authorization"] = f"Bearer {request.headers.pop('x-api-key')}"
    assert (await client.send(request)).status_code == 200


WRONG = {
    "no model": ({"model": ...}, "model"),
    "no messages": ({"messages": ...}, "messages"),
    "empty messages": ({"messages": []}, "messages"),
    "unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
    "content": ({"messages": [{"role": "user", "content": 5}]}, "content"),
    "parts": ({"messages": [{"role": "user", "content": {}}]}, "content"),
    "max_tokens": ({"max_tokens": 0}, "max_tokens"),
    "stream": ({"stream": "yes"}, "stream"),
    "temperature": ({"temperature": 3}, "temperature"),
}


@BOTH
@pytest.mark.parametrize("name", WRONG)
async def test_refuses_wrong_requests_in_the_vendors_words(ask, path, name):
    changes, parameter = WRONG[name]
    response = await ask(path, **changes)
    error = response.json()
    assert response.status_code == 400
    assert error["error"]["type"] == "invalid_request_error"
    assert parameter in error["error"]["message"]
    if path == OPENAI:
        assert error["error"]["param"].endswith(parameter)
    else:
        assert error["type"] == "error"
        assert response.headers["request-id"] == error["request_id"]


@BOTH
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"\xff"', b'{"a": "\\ud800"}'])
async def test_refuses_what_is_no_json_object(client, build, path, body):
    headers = build(path).headers
    del headers["content-length"]
    response = await client.post(path, content=body, headers=headers)
    assert response.status_code == 400


async def test_only_anthropic_demands_max_tokens(ask):
    openai = await ask(OPENAI, max_tokens=...)
    anthropic = await ask(ANTHROPIC, max_tokens=...)
    assert openai.status_code == 200
    assert anthropic.json()["error"]["message"] == "max_tokens: Field required"


async def test_openai_refuses_stream_options_without_stream(ask):
    response = await ask(OPENAI, stream_options={"include_usage": True})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "stream_options"


@BOTH
@pytest.mark.parametrize("model", ["gpt-4", "sandbox-2", "chunks-x", "chunks-"])
async def test_unknown_models_are_404(ask, path, model):
    response = await ask(path, model)
    error = response.json()["error"]
    assert response.status_code == 404
    assert model in error["message"]
    assert (error.get("code") or error["type"]) in (
        "model_not_found",
        "not_found_error",
    )


NUMBERS = ["1e999", "-1e999", "9" * 5000, "NaN"]


@BOTH
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:6])
@pytest.mark.parametrize("name", ["max_tokens", "temperature"])
async def test_absurd_numbers_are_refused(client, build, path, name, number):
    request = build(path, **{name: "NUMBER"})
    response = await client.post(
        path,
        content=request.content.replace(b'"NUMBER"', number.encode()),
        headers={k: v for k, v in request.headers.items() if k != "content-length"},
    )
    assert response.status_code == 400

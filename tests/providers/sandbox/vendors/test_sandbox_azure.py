import pytest

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
DATED = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
KEY = {"api-key": "any"}


@pytest.mark.parametrize("headers", [KEY, {"authorization": "Bearer any"}])
async def test_a_deployment_answers(vendor, headers):
    body = HELLO | {"model": "whatever"}
    response = await vendor.post(DATED.format("sandbox"), json=body, headers=headers)
    completion = response.json()
    assert completion["model"] == "sandbox"
    assert completion["choices"][0]["message"]["content"] == 'The sandbox read: "Hello"'


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("chat/completions", HELLO),
        ("responses", {"input": "Hello"}),
        ("embeddings", {"input": "Hello"}),
    ],
)
async def test_the_api_without_dates_is_openais(vendor, path, more):
    body = {"model": "sandbox"} | more
    azure = await vendor.post(f"/openai/v1/{path}", json=body, headers=KEY)
    bearer = {"authorization": "Bearer any"}
    openai = await vendor.post(f"/v1/{path}", json=body, headers=bearer)
    assert azure.status_code == openai.status_code == 200
    assert azure.json().keys() == openai.json().keys()


@pytest.mark.parametrize("path", [DATED.format("sandbox"), "/openai/v1/responses"])
async def test_demands_a_key(vendor, path):
    response = await vendor.post(path, json={})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "401"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (DATED.format("gpt-4"), 404, "DeploymentNotFound"),
        (DATED.format("sandbox").partition("?")[0], 404, "404"),
        (DATED.format("fault-429"), 429, "rate_limit_exceeded"),
    ],
)
async def test_failures(vendor, path, status, code):
    response = await vendor.post(path, json=HELLO, headers=KEY)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": [], "odd": 1}'])
async def test_refuses_wrong_bodies(vendor, body):
    response = await vendor.post(DATED.format("sandbox"), content=body, headers=KEY)
    assert response.status_code == 400

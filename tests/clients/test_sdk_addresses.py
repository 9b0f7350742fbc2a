"""Where programs find the service, and how they say who they are."""

import anthropic as anthropic_sdk
import httpx2
import openai as openai_sdk
import pytest
from tests.clients.conftest import CALLER_KEY, OTHER_KEY

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "Hello there"}]
GREETING = 'The sandbox read: "Hello there"'
WITH_AND_WITHOUT = pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])


@WITH_AND_WITHOUT
def test_openai_finds_the_service_with_and_without_a_version(
    openai_at, service, suffix
):
    sdk = openai_at(service + suffix)
    chat = sdk.chat.completions.create(model="openai/sandbox", messages=HELLO)
    assert chat.choices[0].message.content == GREETING
    response = sdk.responses.create(model="openai/sandbox", input="Hello there")
    assert sdk.responses.retrieve(response.id).output_text == GREETING
    assert sdk.models.retrieve("openai/sandbox").id == "openai/sandbox"


@WITH_AND_WITHOUT
def test_anthropic_finds_the_service_with_and_without_a_version(
    anthropic_at, service, suffix
):
    sdk = anthropic_at(service + suffix)
    question = {"model": "anthropic/sandbox", "messages": HELLO}
    message = sdk.messages.create(max_tokens=100, **question)
    assert message.content[0].text == GREETING
    assert sdk.messages.count_tokens(**question).input_tokens == 2
    assert sdk.models.retrieve("anthropic/sandbox").id == "anthropic/sandbox"


@pytest.mark.parametrize("model", ["smart", "llm-proxy/smart", "OpenAI/sandbox"])
def test_a_model_has_several_names(openai, model):
    chat = openai.chat.completions.create(model=model, messages=HELLO)
    assert chat.choices[0].message.content == GREETING


def test_anthropics_token_is_a_bearer(http, service, wiretap):
    sdk = anthropic_sdk.Anthropic(
        auth_token=CALLER_KEY, base_url=service, http_client=http, max_retries=0
    )
    sdk.models.list()
    assert wiretap.status == 200


def test_a_wrong_key_is_401(openai_at, anthropic_at, service):
    with pytest.raises(openai_sdk.AuthenticationError) as caught:
        openai_at(f"{service}/v1", "wrong").models.list()
    assert (caught.value.code, caught.value.type) == (
        "invalid_api_key",
        "invalid_request_error",
    )
    with pytest.raises(anthropic_sdk.AuthenticationError) as caught:
        anthropic_at(service, "wrong").models.list()
    assert caught.value.type == "authentication_error"


def test_no_key_is_401(service):
    answer = httpx2.post(f"{service}/v1/chat/completions", json={})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_the_same_key_twice_is_one(raw):
    body = {"model": "openai/sandbox", "messages": HELLO}
    answer = raw("/v1/chat/completions", body, authorization=f"Bearer {CALLER_KEY}")
    assert answer.status_code == 200


@pytest.mark.parametrize("other", [OTHER_KEY, "wrong"])
def test_two_different_keys_are_400(raw, other):
    body = {"model": "openai/sandbox", "messages": HELLO}
    answer = raw("/v1/chat/completions", body, authorization=f"Bearer {other}")
    assert answer.status_code == 400
    assert "two different credentials" in answer.json()["error"]["message"]

"""What leaves for OpenAI and Anthropic, exactly."""

import inspect
import json

import httpx
import pytest
import respx

from llm_proxy import __version__
from llm_proxy.providers import AnthropicProvider, OpenAIProvider
from llm_proxy.providers.loopback import SandboxServer
from llm_proxy.types import ChatRequest, said

QUESTION = ChatRequest(messages=(said("user", "Hello"),))
OPENAI_URL = "https://api.openai.com/v1/chat/completions"
OPENAI_BODY = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}
OPENAI_HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": f"llm-proxy/{__version__}",
    "authorization": "Bearer openai-key",
}
OPENAI_ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hi"}}]}
ANTHROPIC_URL = "https://api.anthropic.com/v1/messages"
ANTHROPIC_BODY = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Hello"}],
}
ANTHROPIC_HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": f"llm-proxy/{__version__}",
    "x-api-key": "anthropic-key",
    "anthropic-version": "2023-06-01",
}
ANTHROPIC_ANSWER = {"content": [{"type": "text", "text": "Hi"}]}

VENDORS = pytest.mark.parametrize(
    ("vendor", "url", "headers", "body", "answer"),
    [
        ("openai", OPENAI_URL, OPENAI_HEADERS, OPENAI_BODY, OPENAI_ANSWER),
        (
            "anthropic",
            ANTHROPIC_URL,
            ANTHROPIC_HEADERS,
            ANTHROPIC_BODY,
            ANTHROPIC_ANSWER,
        ),
    ],
    ids=["openai", "anthropic"],
)


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


@VENDORS
async def test_a_prompt_is_one_user_message(
    make_factory, router, vendor, url, headers, body, answer
):
    route = router.post(url).respond(json=answer)
    provider = make_factory(router.async_handler).get_provider(vendor, body["model"])

    assert await provider.generate_response("Hello") == "Hi"
    [sent] = [call.request for call in route.calls]
    assert dict(sent.headers) == headers
    assert json.loads(sent.content) == body


@VENDORS
async def test_silence_is_bounded_by_the_settings(
    make_factory, router, vendor, url, headers, body, answer
):
    route = router.post(url).respond(json=answer)
    factory = make_factory(router.async_handler)
    await factory.get_provider(vendor, "m").complete(QUESTION)

    assert route.calls.last.request.extensions["timeout"] == {
        "connect": 5.0,
        "read": 30.0,
    }


@VENDORS
@pytest.mark.integration
async def test_the_same_arrives_over_a_socket(
    make_factory, vendor, url, headers, body, answer
):
    sandbox = SandboxServer()
    address = await sandbox.start()
    factory = make_factory(**{f"{vendor}_base_url": address})
    provider = factory.get_provider(vendor, "sandbox")

    assert await provider.generate_response("Hello") == 'The sandbox read: "Hello"'
    [received] = sandbox.app.state.requests
    await sandbox.close()
    assert f"https://host{received.path}" == url.replace(f"api.{vendor}.com", "host")
    assert json.loads(received.body) == body | {"model": "sandbox"}
    assert dict(received.headers) == headers | {
        "host": httpx.URL(address).netloc.decode(),
        "content-length": str(len(received.body)),
    }


async def test_the_operator_bounds_what_anthropic_answers(make_factory, router):
    route = router.post(ANTHROPIC_URL).respond(json=ANTHROPIC_ANSWER)
    factory = make_factory(router.async_handler, anthropic_max_tokens=77)
    await factory.get_provider("anthropic", "m").complete(QUESTION)

    assert json.loads(route.calls.last.request.content)["max_tokens"] == 77


@pytest.mark.parametrize("provider", [OpenAIProvider, AnthropicProvider])
def test_the_simple_call_is_a_coroutine(provider):
    assert inspect.iscoroutinefunction(provider.generate_response)

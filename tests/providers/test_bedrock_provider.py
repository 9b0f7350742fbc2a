"""Bedrock, as far as HTTP goes."""

import json

import httpx
import pytest
from botocore.credentials import Credentials
from botocore.session import Session

from llm_proxy.errors import LLMUnavailableError, PromptTooLongError
from llm_proxy.providers.bedrock_provider import BedrockProvider, find_region
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.faults import from_status
from llm_proxy.providers.sigv4 import Signer
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import ChatRequest, said
from llm_proxy.wire.bedrock import BedrockConverse

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = ChatRequest((said("user", "Hello"),))
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 1},
}


def make_provider(api_key=None, signer=None):
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json=ANSWER)

    connection = Connection(
        name="bedrock",
        dialect=BedrockConverse(),
        client=UpstreamClient(httpx.MockTransport(answer)),
        base_url="https://bedrock-runtime.eu-west-1.amazonaws.com",
        api_key=api_key,
        signer=signer,
    )
    return BedrockProvider(MODEL, connection), sent


def make_signer():
    session = Session()
    session.set_credentials("AKIDEXAMPLE", "a-secret")
    return Signer("bedrock", "eu-west-1", session=session)


async def test_an_api_key_is_a_bearer_token():
    provider, sent = make_provider(api_key="a-key")
    answer = await provider.complete(HELLO)

    assert answer.text == "Hi"
    assert sent[0].headers["authorization"] == "Bearer a-key"
    assert "x-amz-date" not in sent[0].headers


async def test_without_an_api_key_requests_are_signed():
    provider, sent = make_provider(signer=make_signer())
    await provider.complete(HELLO)
    request = sent[0]

    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=A")
    assert request.headers["x-amz-date"]
    assert request.url.raw_path.endswith(b"-20250929-v1%3A0/converse")
    assert json.loads(request.content) == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}]
    }


@pytest.mark.parametrize(
    "variables",
    [
        {"bedrock_base_url": "https://bedrock-runtime.eu-west-1.amazonaws.com"},
        {"aws_region": "eu-west-1"},
        {"aws_default_region": "eu-west-1"},
    ],
)
async def test_variables_tell_the_region(connect, monkeypatch, variables):
    monkeypatch.setattr(
        Session, "get_credentials", lambda _: Credentials("AKIDEXAMPLE", "a-secret")
    )
    connection = connect("bedrock", **variables)
    headers = await connection.signer.headers("POST", connection.base_url, b"")

    assert connection.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert "/eu-west-1/bedrock/aws4_request" in headers["Authorization"]


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1.bedrock-runtime.eu-central-1.vpce.amazonaws.com", "eu-central-1"),
        ("bedrock-runtime.us-east-1.api.aws", "us-east-1"),
        ("localhost", ""),
        ("bedrock-runtime.evil.example.com", ""),
    ],
)
def test_hosts_tell_their_region(host, region):
    assert find_region(host) == region


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Input is too long for requested model.", PromptTooLongError),
        (424, "The model failed.", LLMUnavailableError),
    ],
)
def test_failures_of_bedrock_have_a_class(status, message, kind):
    body = json.dumps({"message": message}).encode()
    error = from_status(status, BedrockConverse().decode_error(body), "bedrock")

    assert type(error) is kind

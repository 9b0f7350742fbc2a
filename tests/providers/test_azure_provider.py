"""Azure OpenAI: addresses, keys, and what its content filter says."""

import json

import httpx
import pytest

from llm_proxy.errors import LLMContentFilteredError
from llm_proxy.providers.azure_provider import AzureProvider, find_api
from llm_proxy.providers.base import Errand
from llm_proxy.providers.connection import Connection
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import ChatRequest, said
from llm_proxy.wire.azure import AzureChat
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.openai_chat import OpenAIChat

ENDPOINT = "https://name.openai.azure.com"
HELLO = ChatRequest((said("user", "Hello"),), max_tokens=5)
ANSWER = {
    "model": "gpt-4o-2024-11-20",
    "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
}
# As the documentation shows it ("Content filtering", "Annotations").
FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI"
        "'s content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def make_provider(dialect, status=200, answer=ANSWER, dialects=()):
    sent = []

    def handle(request):
        sent.append(request)
        return httpx.Response(status, json=answer)

    connection = Connection(
        name="azure",
        dialect=dialect,
        client=UpstreamClient(httpx.MockTransport(handle)),
        relays={each.name: each for each in dialects},
        base_url=ENDPOINT,
        api_key="a-key",
        key_name="AZURE_OPENAI_API_KEY",
    )
    return AzureProvider("my deployment", connection), sent


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        (OpenAIChat(), b"/openai/v1/chat/completions"),
        (
            AzureChat(api_version="2024-10-21"),
            b"/openai/deployments/my%20deployment/chat/completions"
            b"?api-version=2024-10-21",
        ),
    ],
)
async def test_both_apis_have_their_address_and_the_key(dialect, path):
    provider, sent = make_provider(dialect)
    answer = await provider.complete(HELLO)

    assert answer.text == "Hi"
    assert sent[0].url.raw_path == path
    assert sent[0].headers["api-key"] == "a-key"
    assert "authorization" not in sent[0].headers
    assert json.loads(sent[0].content)["model"] == "my deployment"


async def test_the_dated_api_has_all_endpoints_below_the_deployment():
    dialect = AzureChat(api_version="2024-10-21")
    provider, sent = make_provider(dialect, answer={"data": []}, dialects=(dialect,))
    errand = Errand("/embeddings", lambda model: b"{}")
    assert [batch async for batch in provider.forward(errand)][-1][0].has_content

    path = b"/openai/deployments/my%20deployment/embeddings?api-version=2024-10-21"
    assert sent[0].url.raw_path == path


def test_the_dated_dialect_is_openais_with_the_newer_bound():
    body = json.loads(AzureChat().encode_request("m", HELLO, stream=False).body)

    assert AzureChat.name == OpenAIChat.name
    assert body["max_completion_tokens"] == 5


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        f"{ENDPOINT}/",
        f"{ENDPOINT}/openai",
        f"{ENDPOINT}/openai/v1/",
        f"{ENDPOINT}/v1",
    ],
)
def test_endpoints_may_hold_the_path_already(endpoint):
    assert find_api(endpoint, dated=False) == f"{ENDPOINT}/openai/v1"
    assert find_api(endpoint, dated=True) == f"{ENDPOINT}/openai"


def test_a_project_is_part_of_the_resource():
    project = "https://name.services.ai.azure.com/api/projects/p"

    assert find_api(f"{project}/openai/v1", dated=False) == f"{project}/openai/v1"


async def test_a_filtered_prompt_is_no_mistake_of_the_request():
    provider, _ = make_provider(OpenAIChat(), 400, FILTERED)
    with pytest.raises(LLMContentFilteredError) as raised:
        await provider.complete(HELLO)

    assert raised.value.upstream_status == 400
    assert "code=content_filter" in raised.value.log_detail


def event(value):
    return f"data: {json.dumps(value)}\n\n".encode()


# The first event of every stream that has a content filter in the prompt's way.
PROMPT_RESULTS = event(
    {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}
        ],
    }
)
STREAM = (
    PROMPT_RESULTS
    + event({"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Hi"}}]})
    + event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    + b"data: [DONE]\n\n"
)


def test_results_of_the_filter_are_no_content():
    decoder = AzureChat().stream_decoder()
    first = decoder.feed(PROMPT_RESULTS)
    rest = decoder.feed(STREAM.removeprefix(PROMPT_RESULTS))
    answer = gather([*first, *rest, *decoder.close()])

    assert not any(chunk.text or chunk.delta for chunk in first)
    assert (answer.text, answer.finish_reason) == ("Hi", "stop")


def test_results_of_the_filter_pass_through_and_are_no_content():
    reader = AzureChat().passage_reader({"stream": True})
    passages = reader.feed(PROMPT_RESULTS)

    assert b"prompt_filter_results" in b"".join(passage.data for passage in passages)
    assert not any(passage.has_content for passage in passages)

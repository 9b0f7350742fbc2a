import json
from functools import partial

import httpx
import orjson
import pytest

from llm_proxy.errors import (
    InvalidInputError,
    LLMBadResponseError,
    UnsupportedFeatureError,
)
from llm_proxy.providers import Errand
from llm_proxy.wire.openai_embeddings import observe_embeddings

ANSWER = {"embeddings": [{"values": [0.5, 1]}, {"values": [0.25, 0]}]}


@pytest.fixture
def embed(make_factory, monkeypatch):
    """Asks Gemini's API for embeddings; what it was sent is in `embed.sent`."""
    monkeypatch.setenv("GEMINI_API_KEY", "key")

    async def embed(answer=ANSWER, path="/embeddings", *, as_base64=False, **fields):
        def handle(request: httpx.Request) -> httpx.Response:
            embed.sent = request
            return httpx.Response(200, json=answer, headers={"x-request-id": "r-1"})

        def body_for(model: str) -> bytes:
            return orjson.dumps(fields | {"model": model})

        provider = make_factory(handle).get_provider("gemini", "gemini-embedding-001")
        observe = partial(observe_embeddings, as_base64=as_base64)
        errand = Errand(path, body_for, observe=observe)
        return [each async for batch in provider.forward(errand) for each in batch]

    return embed


async def test_texts_become_vectors_in_openais_dialect(embed):
    [passage] = await embed(input=["a", "b"], dimensions=2)
    answer = json.loads(passage.data)

    assert [each["embedding"] for each in answer["data"]] == [[0.5, 1.0], [0.25, 0.0]]
    assert answer["model"] == "gemini-embedding-001"
    assert passage.has_content
    assert passage.headers == (
        (b"content-type", b"application/json"),
        (b"x-upstream-request-id", b"r-1"),
    )
    path = embed.sent.url.path
    assert path.endswith("/models/gemini-embedding-001:batchEmbedContents")
    requests = json.loads(embed.sent.content)["requests"]
    assert [each["outputDimensionality"] for each in requests] == [2, 2]


async def test_vectors_come_as_base64_if_that_was_asked(embed):
    [passage] = await embed(
        {"embeddings": [{"values": [1]}]}, input="a", as_base64=True
    )

    assert json.loads(passage.data)["data"][0]["embedding"] == "AACAPw=="


async def test_one_text_needs_one_vector(embed):
    with pytest.raises(LLMBadResponseError):
        await embed(input="a")


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2]], ["a", [1]]])
async def test_tokens_are_no_text(embed, tokens):
    with pytest.raises(UnsupportedFeatureError):
        await embed(input=tokens)


@pytest.mark.parametrize("dimensions", [0, -1, 1.5, "2", True])
async def test_dimensions_are_a_positive_number(embed, dimensions):
    with pytest.raises(InvalidInputError) as refused:
        await embed(input="a", dimensions=dimensions)

    assert refused.value.details[0]["field"] == "dimensions"


async def test_there_is_no_other_endpoint(embed):
    with pytest.raises(UnsupportedFeatureError):
        await embed(path="/moderations", input="a")

import base64
import math
import struct

import pytest
from openai import BadRequestError, NotFoundError


async def embed(openai, **changes):
    request = {"model": "embed", "input": "some words", **changes}
    return await openai.embeddings.create(**request)


@pytest.mark.parametrize(
    ("model", "dimensions", "size"),
    [("embed", None, 8), ("embed-3", None, 3), ("embed-3", 5, 5), ("sandbox", None, 8)],
)
async def test_gives_vectors_of_length_one(openai, model, dimensions, size):
    more = {} if dimensions is None else {"dimensions": dimensions}
    answer = await embed(openai, model=model, encoding_format="float", **more)
    [item] = answer.data
    assert len(item.embedding) == size
    assert math.hypot(*item.embedding) == pytest.approx(1, abs=1e-6)
    assert answer.model == model


async def test_both_encodings_are_the_same_vector(client, openai):
    as_floats = await embed(openai, encoding_format="float")
    response = await client.post(
        "/embeddings",
        headers={"authorization": "Bearer any"},
        json={"model": "embed", "input": "some words", "encoding_format": "base64"},
    )
    [item] = response.json()["data"]
    vector = struct.unpack("<8f", base64.b64decode(item["embedding"]))
    assert list(vector) == as_floats.data[0].embedding


@pytest.mark.parametrize(
    ("inputs", "count", "tokens"),
    [
        ("one two", 1, 2),
        (["one two", "three"], 2, 3),
        ([7, 8, 9], 1, 3),
        ([[7, 8], [9]], 2, 3),
    ],
)
async def test_embeds_every_input(openai, inputs, count, tokens):
    answer = await embed(openai, input=inputs)
    assert [item.index for item in answer.data] == list(range(count))
    assert len({tuple(item.embedding) for item in answer.data}) == count
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens


async def test_one_model_knows_no_base64(client):
    response = await client.post(
        "/embeddings",
        headers={"authorization": "Bearer any"},
        json={"model": "embed-floats-only", "input": "x", "encoding_format": "base64"},
    )
    assert len(response.json()["data"][0]["embedding"]) == 8


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [1, "x"]}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"extra_body": {"texts": "x"}}, None),
    ],
)
async def test_refuses_wrong_requests(openai, changes, param):
    with pytest.raises(BadRequestError) as caught:
        await embed(openai, **changes)
    assert caught.value.param == param


async def test_refuses_unknown_models(openai):
    with pytest.raises(NotFoundError):
        await embed(openai, model="embedder")


async def test_a_model_may_have_no_vectors_and_no_usage(openai):
    with pytest.raises(ValueError, match="No embedding data"):
        await embed(openai, model="fault-empty-content")
    assert (await embed(openai, model="missing-usage")).usage is None

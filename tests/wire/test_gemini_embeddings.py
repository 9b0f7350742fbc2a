"""Embeddings of the Gemini API."""

import json
from pathlib import Path

import pytest

from llm_proxy.wire import UpstreamFaultError, WireError
from llm_proxy.wire.gemini import (
    decode_embeddings,
    embeddings_path,
    encode_embeddings,
)

FIXTURES = Path(__file__).parent / "fixtures" / "gemini"


def test_the_path_names_the_model_and_nothing_else():
    assert embeddings_path("models/e/../x") == "/models/e%2F..%2Fx:batchEmbedContents"


@pytest.mark.parametrize(
    ("dimensions", "setting"), [(None, {}), (768, {"outputDimensionality": 768})]
)
def test_each_text_is_a_request(dimensions, setting):
    body = encode_embeddings("gemini-embedding-001", ["a", "b"], dimensions)
    assert json.loads(body) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": text}]},
                **setting,
            }
            for text in ("a", "b")
        ]
    }


def test_vectors_come_in_the_order_of_the_texts():
    assert decode_embeddings((FIXTURES / "embeddings.json").read_bytes()) == [
        [-0.022374554, -0.004560777, 1.0, 0.013309286],
        [-0.007975401, -0.02141119, 0.0, -0.0016711967],
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"embeddings": []}',
        b'{"embeddings": [5]}',
        b'{"embeddings": [{"values": []}]}',
        b'{"embeddings": [{"values": [1, "2"]}]}',
        b'{"embeddings": [{"values": [true]}]}',
        b'{"embeddings": [{"values": [1e999]}]}',
    ],
)
def test_what_is_not_an_answer_is_an_error(body):
    with pytest.raises(WireError):
        decode_embeddings(body)


def test_an_error_inside_a_success_is_a_fault():
    with pytest.raises(UpstreamFaultError) as caught:
        decode_embeddings((FIXTURES / "error_404.json").read_bytes())
    assert caught.value.detail.status == 404

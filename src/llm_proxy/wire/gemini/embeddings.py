"""Embeddings of the Gemini API.

Source: the Gemini API reference, "Embeddings".
"""

from collections.abc import Sequence
from typing import Any

import orjson

from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.gemini.models import model_path, model_resource
from llm_proxy.wire.reading import read_object


def embeddings_path(model: str) -> str:
    """Say where requests go, below the base URL.

    Args:
        model: The upstream's name of the model.

    Returns:
        The path; nothing in the model's name can lead to another one.
    """
    return f"{model_path(model)}:batchEmbedContents"


def encode_embeddings(
    model: str, inputs: Sequence[str], dimensions: int | None = None
) -> bytes:
    """Write the request's body.

    Args:
        model: The upstream's name of the model.
        inputs: The texts.
        dimensions: How many numbers a vector has; None leaves it to the model.

    Returns:
        JSON.
    """
    settings: dict[str, Any] = {"model": model_resource(model)}
    if dimensions is not None:
        settings["outputDimensionality"] = dimensions
    return orjson.dumps(
        {
            "requests": [
                {**settings, "content": {"parts": [{"text": text}]}} for text in inputs
            ]
        }
    )


def decode_embeddings(body: bytes) -> list[list[float]]:
    """Read the answer.

    Args:
        body: The upstream's bytes.

    Returns:
        One vector per text, in the order of the texts.

    Raises:
        UpstreamFaultError: The body is an error.
        WireError: The body is not an answer.
    """
    answer = read_object(body)
    if answer.get("error"):
        raise UpstreamFaultError(error_detail(answer["error"]))
    embeddings = answer.get("embeddings")
    if not isinstance(embeddings, list) or not embeddings:
        raise WireError("the answer has no embeddings")
    return [_read_vector(embedding) for embedding in embeddings]


def _read_vector(embedding: object) -> list[float]:
    values = embedding.get("values") if isinstance(embedding, dict) else None
    if not isinstance(values, list) or not values:
        raise WireError("an embedding has no values")
    # JSON writes 1.0 as 1 where it can; true is no number.
    if not all(type(value) in (float, int) for value in values):
        raise WireError("an embedding holds something that is no number")
    return [float(value) for value in values]

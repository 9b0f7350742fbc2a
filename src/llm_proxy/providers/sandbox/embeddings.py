"""OpenAI's ``POST /v1/embeddings``, from the server's side."""

import base64
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.body import read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest, as_json
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.vectors import (
    floats_in,
    make_vector,
    makes_vectors,
    usual_dimensions,
)

_MOST_INPUTS = 2048
_MOST_DIMENSIONS = 4096

_Input = str | tuple[int, ...]


def _read_inputs(value: object) -> list[_Input]:
    """Read a text, a list of token numbers, or a list of either."""
    items = value if isinstance(value, list) else [value]
    if items and all(type(item) is int for item in items):
        items = [items]
    if not items or len(items) > _MOST_INPUTS:
        raise ValueError(f"must have 1 to {_MOST_INPUTS} items")
    return [_read_input(item) for item in items]


def _read_input(item: object) -> _Input:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, list) and item and all(type(token) is int for token in item):
        return tuple(item)
    raise ValueError("must be texts or lists of tokens, none of them empty")


class _Body(Strict):
    model: str
    input: Annotated[list[Any], BeforeValidator(_read_inputs)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, le=_MOST_DIMENSIONS)
    user: str | None = None


def read_embeddings(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for embeddings.

    The endpoint's own models are ``embed``, with 8 dimensions, ``embed-N`` with N, and
    ``embed-floats-only``, which does not know base64, as many compatible servers do
    not.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_json(_Body, request.body)
    if isinstance(body, Problem):
        return body
    texts = [item for item in body.input if isinstance(item, str)]
    tokens = sum(len(item) for item in body.input if not isinstance(item, str))
    encode = _as_base64 if body.encoding_format == "base64" else floats_in
    if body.model == "embed-floats-only":
        encode = floats_in

    def write(answer: Answer) -> dict[str, Any]:
        size = body.dimensions or usual_dimensions(body.model)
        # A model without anything to say has no vectors either.
        vectors = [encode(_embed(item, size)) for item in body.input if answer.text]
        return _written(vectors, answer)

    question = Question(
        model=body.model,
        text=texts[-1] if texts else "",
        input_tokens=count_words(*texts) + tokens,
        max_tokens=None,
        stream=False,
    )
    return Asked(question, render=as_json(write), knows_model=makes_vectors(body.model))


def _embed(item: _Input, dimensions: int) -> bytes:
    return make_vector(item if isinstance(item, str) else f"tokens {item}", dimensions)


def _as_base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def _written(vectors: list[Any], answer: Answer) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    embeddings = {"object": "list", "data": data, "model": answer.model}
    if answer.tokens is None:
        return embeddings
    count = answer.tokens.input
    return embeddings | {"usage": {"prompt_tokens": count, "total_tokens": count}}

"""OpenAI's ``POST /v1/embeddings``, from the server's side."""

import base64
import hashlib
import math
import re
import struct
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.body import read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest, as_json
from llm_proxy.providers.sandbox.strict import Strict

_MOST_INPUTS = 2048
_MOST_DIMENSIONS = 4096
_USUAL_DIMENSIONS = 8
_OWN_MODEL = re.compile(r"embed(-floats-only|-(?P<dimensions>[1-9][0-9]{0,3}))?")

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
    own = _OWN_MODEL.fullmatch(body.model)
    texts = [item for item in body.input if isinstance(item, str)]
    tokens = sum(len(item) for item in body.input if not isinstance(item, str))
    usual = int((own and own["dimensions"]) or _USUAL_DIMENSIONS)
    encode = _as_base64 if body.encoding_format == "base64" else _as_floats
    if body.model == "embed-floats-only":
        encode = _as_floats

    def write(answer: Answer) -> dict[str, Any]:
        size = body.dimensions or usual
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
    return Asked(question, render=as_json(write), knows_model=own is not None)


def _embed(item: _Input, size: int) -> bytes:
    """Make a vector of length 1 from an input: little-endian floats of 32 bits."""
    seed = item if isinstance(item, str) else f"tokens {item}"
    noise = hashlib.shake_128(seed.encode(errors="replace")).digest(2 * size)
    numbers = [number + 0.5 for number in struct.unpack(f"<{size}h", noise)]
    length = math.hypot(*numbers)
    return struct.pack(f"<{size}f", *(number / length for number in numbers))


def _as_base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def _as_floats(vector: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))


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

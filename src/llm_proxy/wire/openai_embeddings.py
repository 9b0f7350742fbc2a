"""OpenAI's embeddings: vectors as floats or as base64, whichever was asked for."""

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError
from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_answer import describe_answer
from llm_proxy.wire.reading import read_object


def check_input(fields: Mapping[str, Any]) -> None:
    """Refuse a request without anything to embed.

    Args:
        fields: The request's JSON.

    Raises:
        InvalidInputError: ``input`` is not a text, a list of tokens, or a list of
            either, none of them empty.
    """
    value = fields.get("input")
    if value is None:
        raise _invalid("input", "Field required")
    several = isinstance(value, list) and bool(value) and all(map(_is_input, value))
    if not (several or _is_input(value)):
        raise _invalid(
            "input",
            "must be a text, a list of tokens, or a list of either, none of them empty",
        )


def read_texts(fields: Mapping[str, Any]) -> list[str]:
    """Read what a request wants embedded, for an upstream that takes texts alone.

    Args:
        fields: The request's JSON, which `check_input` has passed.

    Returns:
        The texts.

    Raises:
        UnsupportedFeatureError: There are tokens among them.
    """
    value = fields["input"]
    inputs = [value] if isinstance(value, str) else value
    texts = [each for each in inputs if isinstance(each, str)]
    if len(texts) != len(inputs):
        raise UnsupportedFeatureError(
            "The model's provider embeds texts, not tokens",
            details=[{"field": "input", "problem": "must be texts"}],
        )
    return texts


def read_dimensions(fields: Mapping[str, Any]) -> int | None:
    """Read how many numbers a vector shall have.

    Args:
        fields: The request's JSON.

    Returns:
        The number; None leaves it to the model.

    Raises:
        InvalidInputError: It is no positive number.
    """
    value = fields.get("dimensions")
    if value is None or (type(value) is int and value > 0):
        return value
    raise _invalid("dimensions", "must be a positive number")


def _is_input(value: object) -> bool:
    if isinstance(value, str):
        return bool(value)
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(token) is int for token in value)
    )


def _invalid(field: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        f"The request is not valid: {field}",
        details=[{"field": field, "problem": problem}],
    )


def observe_embeddings(body: bytes, *, as_base64: bool) -> Passage:
    """Look at an answer, and write its vectors in the form that was asked for.

    Many upstreams do not know base64, which OpenAI's SDK asks for unless it is told
    otherwise.

    Args:
        body: JSON.
        as_base64: Whether the vectors shall be base64 of little-endian floats of 32
            bits; else lists of numbers.

    Returns:
        The answer; unchanged if it has that form.

    Raises:
        WireError: It is not an answer.
        UpstreamFaultError: It is an error.
    """
    answer = read_object(body)
    passage = describe_answer(body, answer)
    embeddings = answer.get("data")
    if not isinstance(embeddings, list) or not embeddings:
        raise WireError("the answer has no embeddings")
    is_changed = False
    for embedding in embeddings:
        vector = embedding.get("embedding") if isinstance(embedding, dict) else None
        if not isinstance(vector, str | list) or not vector:
            raise WireError("an embedding has no vector")
        if isinstance(vector, str) is not as_base64:
            embedding["embedding"] = _convert(vector)
            is_changed = True
    return passage._replace(data=orjson.dumps(answer)) if is_changed else passage


def write_embeddings(model: str, vectors: Sequence[Sequence[float]]) -> bytes:
    """Write an answer for an upstream that speaks another dialect.

    Args:
        model: The model that has answered.
        vectors: One per input, in their order.

    Returns:
        JSON, with the vectors as lists of numbers.
    """
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    # The SDKs demand a usage, also of upstreams that do not count.
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return orjson.dumps(
        {"object": "list", "data": data, "model": model, "usage": usage}
    )


def _convert(vector: str | list[Any]) -> list[float] | str:
    return _unpack(vector) if isinstance(vector, str) else _pack(vector)


def _pack(vector: list[Any]) -> str:
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except (struct.error, OverflowError) as error:
        raise WireError("an embedding holds something that is no float") from error
    return base64.b64encode(packed).decode("ascii")


def _unpack(vector: str) -> list[float]:
    try:
        packed = base64.b64decode(vector, validate=True)
        numbers = struct.unpack(f"<{len(packed) // 4}f", packed)
    except (binascii.Error, ValueError, struct.error) as error:
        raise WireError("an embedding is not base64 of floats") from error
    if not all(map(math.isfinite, numbers)):
        raise WireError("an embedding holds something that is no number")
    return list(numbers)

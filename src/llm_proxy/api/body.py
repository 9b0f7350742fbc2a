"""Request bodies: bounded while they are read, strict JSON, one pydantic model."""

from typing import TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from llm_proxy.api.connection import ClientDisconnectedError
from llm_proxy.api.errors import describe
from llm_proxy.errors import (
    MalformedJSONError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from llm_proxy.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model]) -> Model:
    """Read the request's body as one JSON object.

    Args:
        request: With its body unread.
        model: What the object must be; its validators find the settings in their
            context.

    Returns:
        The valid object.

    Raises:
        UnsupportedMediaTypeError: The body is not declared as plain JSON.
        PayloadTooLargeError: It has more than ``MAX_BODY_BYTES``.
        ClientDisconnectedError: The caller hung up meanwhile.
        MalformedJSONError: It is not JSON (RFC 8259: UTF-8, no NaN, no lone
            surrogates), or nested deeper than any sensible request.
        InvalidInputError: It is not what the model wants.
    """
    settings: Settings = request.app.state.settings
    _check_type(request)
    body = await _read(request, settings.max_body_bytes)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJSONError from error
    try:
        return model.model_validate(value, context=settings)
    except ValidationError as error:
        raise describe(error) from error


def _check_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    essence = content_type.partition(";")[0].strip().lower()
    if essence != "application/json" and not essence.endswith("+json"):
        raise UnsupportedMediaTypeError
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError


async def _read(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise PayloadTooLargeError
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > max_bytes:
            raise PayloadTooLargeError
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

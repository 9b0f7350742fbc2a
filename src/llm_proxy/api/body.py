"""Request bodies: bounded while they are read, strict JSON, one pydantic model."""

from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from llm_proxy.api.connection import ClientDisconnectedError
from llm_proxy.api.errors import describe
from llm_proxy.errors import (
    InvalidInputError,
    MalformedJSONError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from llm_proxy.settings import Settings
from llm_proxy.wire.parsing import parse_json

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model]) -> Model:
    """Read the request's body as a value of our own.

    Args:
        request: With its body unread.
        model: What the object must be; its validators find the settings in their
            context.

    Returns:
        The valid object.

    Raises:
        APIError: As `read_json`.
        InvalidInputError: It is not what the model wants.
    """
    settings: Settings = request.app.state.settings
    _, value = await read_json(request, settings.max_body_bytes)
    try:
        return model.model_validate(value, context=settings)
    except ValidationError as error:
        raise describe(error) from error


async def read_json(request: Request, max_bytes: int) -> tuple[bytes, dict[str, Any]]:
    """Read the request's body as one JSON object.

    Args:
        request: With its body unread.
        max_bytes: The most bytes to read.

    Returns:
        The bytes, and what they say.

    Raises:
        UnsupportedMediaTypeError: The body is not declared as plain JSON.
        PayloadTooLargeError: It has more than `max_bytes`.
        ClientDisconnectedError: The caller hung up meanwhile.
        MalformedJSONError: It is not JSON (RFC 8259: UTF-8, no NaN, no lone
            surrogates), has numbers beyond all bounds, or is nested deeper than any
            sensible request.
        InvalidInputError: It is not an object.
    """
    essence = check_head(request, max_bytes)
    if essence != b"application/json" and not essence.endswith(b"+json"):
        raise UnsupportedMediaTypeError
    body = await read_bytes(request, max_bytes)
    try:
        value = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJSONError from error
    if not isinstance(value, dict):
        problem = {"field": "body", "problem": "must be a JSON object"}
        raise InvalidInputError("The request is not valid: body", details=[problem])
    return body, value


def check_head(request: Request, max_bytes: int) -> bytes:
    """Refuse by its head a body that would be refused later.

    Args:
        request: The request.
        max_bytes: The most bytes its body may have.

    Returns:
        The media type of the body, in lower case and without parameters.

    Raises:
        UnsupportedMediaTypeError: The body is compressed.
        PayloadTooLargeError: It is announced as too large.
    """
    content_type = b""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaTypeError
        elif name == b"content-length" and _too_many(value, max_bytes):
            raise PayloadTooLargeError
    return content_type.partition(b";")[0].strip().lower()


def _too_many(length: bytes, max_bytes: int) -> bool:
    # It may have 5000 digits, which `int` refuses to read.
    return length.isdigit() and (len(length) > 15 or int(length) > max_bytes)


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Read the request's body, whatever it is.

    Args:
        request: With its body unread.
        max_bytes: The most bytes to read.

    Returns:
        The bytes.

    Raises:
        PayloadTooLargeError: There are more.
        ClientDisconnectedError: The caller hung up meanwhile.
    """
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

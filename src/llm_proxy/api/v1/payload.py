"""Bodies of requests besides chat, in which only the name of the model changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from fastapi import Request

from llm_proxy.api.body import check_head, read_bytes, read_json
from llm_proxy.api.v1.inquiries import read_model_name
from llm_proxy.api.v1.multipart import read_form
from llm_proxy.settings import Settings
from llm_proxy.wire import splice


@dataclass(frozen=True, slots=True)
class Payload:
    """A body, and the model it is for.

    Attributes:
        model: The name that the caller uses.
        with_model: Writes the body with another name in its place.
        content_type: The media type of the body.
        fields: What the body says, if it is JSON.
    """

    model: str
    with_model: Callable[[str], bytes]
    content_type: str = "application/json"
    fields: Mapping[str, Any] = field(default_factory=dict)


async def read_json_payload(request: Request, default_model: str = "") -> Payload:
    """Read a body that is JSON.

    Args:
        request: With its body unread.
        default_model: For a body that names no model; empty if it must.

    Returns:
        The payload.

    Raises:
        APIError: As `read_json`.
        InvalidInputError: It does not name a model.
    """
    body, fields = await read_json(request, _max_bytes(request))
    if default_model and fields.get("model") is None:
        model = default_model
    else:
        model = read_model_name(fields)
    return Payload(model, partial(_with_model, body, fields), fields=fields)


async def read_form_payload(request: Request) -> Payload:
    """Read a body that is a form with files.

    Args:
        request: With its body unread.

    Returns:
        The payload.

    Raises:
        APIError: As `read_bytes`.
        UnsupportedMediaTypeError: The body is no form, or is compressed.
        InvalidInputError: It is broken, or does not name a model.
    """
    max_bytes = _max_bytes(request)
    check_head(request, max_bytes)
    content_type = request.headers.get("content-type", "")
    form = read_form(content_type, await read_bytes(request, max_bytes))
    return Payload(form.model, form.with_model, content_type)


def _max_bytes(request: Request) -> int:
    settings: Settings = request.app.state.settings
    return settings.max_v1_body_bytes


def _with_model(body: bytes, fields: Mapping[str, Any], model: str) -> bytes:
    return splice(body, {"model": orjson.dumps(model)}, fields)

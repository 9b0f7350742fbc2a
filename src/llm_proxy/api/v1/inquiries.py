"""Requests of programs that speak a vendor's dialect."""

import os
import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from llm_proxy.api.body import read_json
from llm_proxy.api.v1.surfaces import ANTHROPIC, speaks_anthropic
from llm_proxy.errors import InvalidInputError
from llm_proxy.settings import Settings
from llm_proxy.wire import API_VERSION, Asked, Inquiry, Surface

# What says how an upstream should read the rest, and is no secret.
_TRAVELLING = frozenset((b"anthropic-beta", b"anthropic-version", b"openai-beta"))


async def read_inquiry(
    request: Request, surface: Surface, defaults: Mapping[str, Any] | None = None
) -> Inquiry:
    """Read what a program asks.

    Args:
        request: With its body unread.
        surface: The dialect of the body.
        defaults: Fields that the dialect demands and this place does not.

    Returns:
        The inquiry.

    Raises:
        APIError: As `read_json`.
        InvalidInputError: No upstream could answer it.
    """
    settings: Settings = request.app.state.settings
    body, fields = await read_json(request, settings.max_v1_body_bytes)
    if defaults:
        fields = {**defaults, **fields}
    model = read_model_name(fields)
    surface.check_request(fields)
    return Inquiry(
        surface=surface,
        body=body,
        asked=Asked(os.urandom(12).hex(), int(time.time()), model, fields),
        stream=fields.get("stream") is True,
        headers=_travelling(request, surface),
    )


def _travelling(request: Request, surface: Surface) -> list[tuple[str, str]]:
    headers = [
        (name.decode("ascii"), value.decode("latin-1"))
        for name, value in request.scope["headers"]
        if name in _TRAVELLING
    ]
    if surface is ANTHROPIC and not speaks_anthropic(request.scope):
        headers.append(("anthropic-version", API_VERSION))
    return headers


def read_model_name(fields: dict[str, Any]) -> str:
    """Read which model a request names.

    Args:
        fields: The request's JSON.

    Returns:
        The name, as it came.

    Raises:
        InvalidInputError: There is none.
    """
    model = fields.get("model")
    if isinstance(model, str) and model.strip():
        return model
    problem = "Field required" if model is None else "must be a string with a name"
    raise InvalidInputError(
        "You must provide a model parameter",
        details=[{"field": "model", "problem": problem}],
    )

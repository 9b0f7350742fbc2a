"""Errors of this API: as bodies they are those of chat completions.

Source: the OpenAI API reference, "The response object" (``error``) and the streaming
event ``error``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from llm_proxy.errors import APIError
from llm_proxy.wire.dialect import ErrorDetail
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_chat import encode_error as encode_chat_error
from llm_proxy.wire.surface import ErrorAnswer

_TRANSIENT = ("server_error", "vector_store_timeout")


def failure_detail(error: object) -> ErrorDetail:
    """Read the error of a response that has failed.

    Args:
        error: ``{"code", "message"}``, or whatever stood there.

    Returns:
        What it says. The API has a code for each way in which an image can be bad, so
        what is not known as the service's fault is the caller's.
    """
    detail = error_detail(error)
    if detail.status is None and detail.code and detail.code not in _TRANSIENT:
        return replace(detail, status=400)
    return detail


def event_detail(event: Mapping[str, Any]) -> ErrorDetail:
    """Read an event of type ``error``.

    Args:
        event: Its fields stand in it, or in an ``error`` object of their own.

    Returns:
        What it says.
    """
    if event.get("error"):
        return failure_detail(event["error"])
    flat = {name: event.get(name) for name in ("code", "message", "param")}
    return failure_detail(flat)


def encode_error(error: APIError, request_id: str) -> ErrorAnswer:
    """Write an error.

    Args:
        error: What went wrong.
        request_id: Which request it was.

    Returns:
        Status and JSON. What chat completions calls messages is the input here.
    """
    answer = encode_chat_error(error, request_id)
    words = answer.body["error"]
    if words["param"] == "messages":
        words["param"] = "input"
    return answer


def write_failure(error: APIError, request_id: str) -> dict[str, str]:
    """Write the ``error`` of a response that has failed.

    Args:
        error: What went wrong.
        request_id: Which request it was.

    Returns:
        The object; its code is one of those that the API has for this place.
    """
    status, body = encode_error(error, request_id)
    code = {400: "invalid_prompt", 429: "rate_limit_exceeded"}.get(status)
    return {"code": code or "server_error", "message": body["error"]["message"]}


def error_event(error: APIError, request_id: str) -> bytes:
    """Write the event that ends a stream of which nothing is known.

    Args:
        error: What went wrong.
        request_id: Which request it was.

    Returns:
        The event. The reference has the fields in the event itself, the API sends them
        in an object of their own, and only there do the SDKs see an error.
    """
    words = encode_error(error, request_id).body["error"]
    event = {
        "type": "error",
        "sequence_number": 0,
        "code": words["code"],
        "message": words["message"],
        "param": words["param"],
        "error": words,
    }
    return b"event: error\ndata: %b\n\n" % orjson.dumps(event)

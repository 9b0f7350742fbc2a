"""Reads error bodies of all vendors."""

import re
from typing import Any

import orjson

from llm_proxy.errors import VendorWords
from llm_proxy.wire.dialect import ErrorDetail

# What goes into logs must be a name; an upstream may echo a prompt or a key here.
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,39}")
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_STATUS_OF_CODE = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "arrearage": 402,
    "insufficient_quota": 402,
    "not_enough_balance": 402,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # Google: the names of gRPC's status codes, and one reason.
    "api_key_invalid": 401,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "out_of_range": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "resource_exhausted": 429,
    "internal": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}


def read_error(body: bytes) -> ErrorDetail:
    """Read the error body of any vendor, or of anything that resembles them.

    Args:
        body: ``{"error": {"type", "code", "message"}}``, ``{"error": "text"}``, what
            stands inside of either alone, any of them in a list, or anything else.

    Returns:
        What could be understood.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ErrorDetail(None, "", "")
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("error") or value
    return error_detail(value)


def error_detail(error: object) -> ErrorDetail:
    """Read the value of an ``error`` key.

    Args:
        error: An object with ``type``, ``code``, ``message``, or a string. Google calls
            the type ``status``, and where others have their code it has an HTTP status
            and the ``reason`` among the ``details``;
            Anthropic has the code in its ``details``.

    Returns:
        What could be understood.
    """
    if not isinstance(error, dict):
        return ErrorDetail(None, "", error if isinstance(error, str) else "")
    kind, code = error.get("type", error.get("status")), error.get("code")
    details = _objects(error.get("details"))
    reason = code or _anthropics_code(error.get("details"))
    if isinstance(code, int):
        # Novita has it beside the code.
        reason = _first(details, "reason") or error.get("reason")
    names = [name for name in (_name(kind), _name(reason)) if name]
    if _was_flagged(error):
        names.append("content_filter")
    if isinstance(code, int) and 400 <= code <= 599:
        status: int | None = code
    else:
        status = next(
            (_STATUS_OF_CODE[w] for w in reversed(names) if w in _STATUS_OF_CODE), None
        )
    param = error.get("param")
    words = VendorWords(
        message=_read_message(error.get("message", error.get("detail"))),
        type=kind if isinstance(kind, str) else "",
        code=reason if isinstance(reason, str) else "",
        param=param if isinstance(param, str) else "",
    )
    wait = _read_delay(_first(details, "retryDelay"))
    return ErrorDetail(status, " ".join(names), words.message, words, wait)


def _name(word: object) -> str:
    if not isinstance(word, str):
        return ""
    if _CODE.fullmatch(word):
        return word
    return word.lower() if word.lower() in _STATUS_OF_CODE else ""


def _read_message(said: object) -> str:
    """Read the sentence; Mistral and DeepInfra nest it, FastAPI has one per field."""
    if isinstance(said, dict):
        said = said.get("detail", said.get("error"))
    if isinstance(said, str):
        return said
    problems = [
        f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}"
        for entry in _objects(said)
        if isinstance(entry.get("loc"), list) and isinstance(entry.get("msg"), str)
    ]
    return "; ".join(problems)


def _was_flagged(error: dict[str, Any]) -> bool:
    """Tell OpenRouter's refusal of a prompt from that of a key."""
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _read_delay(delay: object) -> float | None:
    """Read how long Google wants to be left alone, like ``34.5s``."""
    match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
    return float(match[1]) if match else None


def _anthropics_code(details: object) -> object:
    """Read the code by which an error of Anthropic differs from others of its type."""
    return details.get("error_code") if isinstance(details, dict) else None


def _objects(values: object) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def _first(values: list[dict[str, Any]], name: str) -> object:
    return next((value[name] for value in values if value.get(name)), None)

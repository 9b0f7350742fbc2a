"""Anthropic's messages API, from the server's side.

Source: the Anthropic API reference, "Messages", "Streaming messages" and "Errors".
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llm_proxy.providers.sandbox.dialect import (
    TOOL_ARGUMENTS,
    TOOL_NAME,
    Answer,
    Problem,
    Question,
    Tokens,
    count_words,
    cut_words,
    first_mistake,
    read_text,
)

_CREATED_AT = "2025-01-01T00:00:00Z"
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    # The vendor has no other word for an answer that a filter stopped.
    "content_filter": "refusal",
    "refusal": "refusal",
}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_Text = Annotated[str, BeforeValidator(read_text)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    role: Literal["user", "assistant"]
    content: _Text


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)

    model: str
    max_tokens: int = Field(ge=1)
    messages: list[_Message] = Field(min_length=1)
    system: _Text = ""
    stream: bool = False
    temperature: float | None = Field(None, ge=0, le=1)


class Anthropic:
    """The dialect of ``POST /v1/messages``."""

    request_id_header = "request-id"
    prompt_too_long = Problem(400, "prompt is too long: 200001 tokens > 200000 maximum")
    no_credit = Problem(
        402, "Your credit balance is too low to access the Anthropic API."
    )

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand any key, in ``x-api-key`` or as a bearer, and a version of the API."""
        if not headers.get("x-api-key") and not headers.get("authorization"):
            return Problem(401, "x-api-key header is required")
        if not headers.get("anthropic-version"):
            return Problem(400, "anthropic-version: header is required")
        return None

    def read(self, body: bytes) -> Question | Problem:
        """Read a request as strictly as the vendor does."""
        try:
            request = _Body.model_validate_json(body)
        except ValidationError as error:
            mistake = first_mistake(error)
            path = ".".join(map(str, mistake.path))
            return Problem(400, f"{path}: {mistake.message}".removeprefix(": "))
        texts = [message.content for message in request.messages]
        asked = [m.content for m in request.messages if m.role == "user"]
        return Question(
            model=request.model,
            text=asked[-1] if asked else texts[-1],
            input_tokens=count_words(request.system, *texts),
            max_tokens=request.max_tokens,
            stream=request.stream,
        )

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``message``."""
        content: list[dict[str, Any]] = []
        if answer.text is not None:
            content.append({"type": "text", "text": answer.text})
        if answer.ending == "tool_calls":
            content.append(_tool_use(answer, orjson.loads(TOOL_ARGUMENTS)))
        message = _message(answer, content)
        message["stop_reason"] = _stop_reason(answer)
        if answer.tokens is not None:
            message["usage"] = _usage(answer.tokens)
        return message

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write the events from ``message_start`` to ``message_stop``."""
        start = _message(answer, [])
        delta: dict[str, Any] = {
            "delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None}
        }
        if answer.tokens is not None:
            # The vendor has counted one token when it starts; later figures replace it.
            start["usage"] = _usage(Tokens(answer.tokens.input, 1))
            delta["usage"] = {"output_tokens": answer.tokens.output}
        events = [_event("message_start", message=start), *_block_events(answer)]
        if answer.ending is None:
            return events
        return [*events, _event("message_delta", **delta), _event("message_stop")]

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"type": "error", "error": …}``."""
        default = "api_error" if problem.status >= 500 else "invalid_request_error"
        type_ = problem.type or _ERROR_TYPES.get(problem.status, default)
        return {
            "type": "error",
            "error": {"type": type_, "message": problem.message},
            "request_id": f"req_{request_id}",
        }

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write the error body as an ``error`` event."""
        return _event(**self.error(problem, request_id))

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(404, f"model: {model}")

    def models(self, names: list[str]) -> dict[str, Any]:
        """Write the list of models, on one page."""
        common = {"type": "model", "created_at": _CREATED_AT}
        data = [{"id": name, "display_name": name} | common for name in names]
        return {
            "data": data,
            "has_more": False,
            "first_id": names[0],
            "last_id": names[-1],
        }


def _message(answer: Answer, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block_events(answer: Answer) -> Iterator[bytes]:
    """Write the text, or else the tool call, as the content block it is."""
    block: dict[str, Any]
    if answer.ending == "tool_calls":
        block, kind, key = _tool_use(answer, {}), "input_json_delta", "partial_json"
        pieces = cut_words(TOOL_ARGUMENTS)
    elif answer.pieces is not None:
        block, kind, key = {"type": "text", "text": ""}, "text_delta", "text"
        pieces = answer.pieces
    else:
        return
    yield _event("content_block_start", index=0, content_block=block)
    yield _event("ping")
    for piece in pieces:
        yield _event("content_block_delta", index=0, delta={"type": kind, key: piece})
    if answer.ending is not None:
        yield _event("content_block_stop", index=0)


def _tool_use(answer: Answer, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": f"toolu_{answer.id}",
        "name": TOOL_NAME,
        "input": arguments,
    }


def _stop_reason(answer: Answer) -> str | None:
    return _STOP_REASONS[answer.ending] if answer.ending else None


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _event(type: str, **fields: object) -> bytes:
    data = orjson.dumps({"type": type} | fields)
    return b"event: " + type.encode() + b"\ndata: " + data + b"\n\n"

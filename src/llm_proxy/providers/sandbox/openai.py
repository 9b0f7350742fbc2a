"""OpenAI's chat completions, from the server's side.

Source: the OpenAI API reference, "Chat completions" and "Error codes".
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
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

# A constant, because the same request has to give the same bytes.
_CREATED = 1735689600
_DONE = b"data: [DONE]\n\n"
_ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}
_FINISH_REASONS = {"refusal": "stop"}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(read_text)] = ""


class _StreamOptions(_Strict):
    include_usage: bool = False


class _JSONSchema(_Strict):
    name: str
    definition: dict[str, Any] = Field(default_factory=dict, alias="schema")


class _ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JSONSchema | None = None


class _Body(_Strict):
    model: str
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    response_format: _ResponseFormat | None = None


class OpenAI:
    """The dialect of ``POST /v1/chat/completions``."""

    request_id_header = "x-request-id"
    prompt_too_long = Problem(
        400,
        "This model's maximum context length is 128000 tokens. However, your messages "
        "resulted in 130001 tokens. Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    )
    no_credit = Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
    )

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand ``Authorization: Bearer`` with any key."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            return None
        return Problem(
            401,
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth.",
        )

    def read(self, body: bytes) -> Question | Problem:
        """Read a request as strictly as the vendor does."""
        try:
            request = _Body.model_validate_json(body)
        except ValidationError as error:
            return _problem_of(error)
        if request.stream_options is not None and not request.stream:
            return Problem(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is "
                "enabled.",
                param="stream_options",
            )
        texts = [message.content for message in request.messages]
        asked = [m.content for m in request.messages if m.role == "user"]
        options = request.stream_options
        return Question(
            model=request.model,
            text=asked[-1] if asked else texts[-1],
            input_tokens=count_words(*texts),
            max_tokens=request.max_completion_tokens or request.max_tokens,
            stream=bool(request.stream),
            include_usage=options is not None and options.include_usage,
            schema=_schema_of(request.response_format),
        )

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``chat.completion``."""
        refused = answer.ending == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refused else answer.text,
            "refusal": answer.text if refused else None,
        }
        if answer.ending == "tool_calls":
            message["tool_calls"] = [_tool_call(answer, TOOL_ARGUMENTS)]
        completion = _frame(answer, "chat.completion", "message", message)
        if answer.tokens is not None:
            completion["usage"] = _usage(answer.tokens)
        return completion

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write ``chat.completion.chunk`` events, up to ``[DONE]``."""
        tokens = answer.tokens if include_usage else None
        # With include_usage, the vendor sends a null usage in all chunks but the last.
        common = {} if tokens is None else {"usage": None}
        unfinished = replace(answer, ending=None)
        events = [
            _event(_chunk(unfinished, delta) | common) for delta in _deltas(answer)
        ]
        if answer.ending is None:
            return events
        last = _chunk(answer, {})
        events.append(_event(last | common))
        if tokens is not None:
            events.append(_event(last | {"choices": [], "usage": _usage(tokens)}))
        return [*events, _DONE]

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"error": …}``."""
        type_, code = _error_type(problem.status)
        return {
            "error": {
                "message": problem.message,
                "type": problem.type or type_,
                "param": problem.param,
                "code": problem.code or code,
            }
        }

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write the error body as an event of its own."""
        return _event(self.error(problem, request_id))

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )

    def models(self, names: list[str]) -> dict[str, Any]:
        """Write the list of models."""
        common = {"object": "model", "created": _CREATED, "owned_by": "sandbox"}
        return {"object": "list", "data": [{"id": name} | common for name in names]}


def _problem_of(error: ValidationError) -> Problem:
    mistake = first_mistake(error)
    if mistake.kind == "json_invalid":
        return Problem(400, "We could not parse the JSON body of your request.")
    steps = (f"[{s}]" if isinstance(s, int) else f".{s}" for s in mistake.path)
    param = "".join(steps).removeprefix(".")
    if mistake.kind == "missing":
        message = f"Missing required parameter: '{param}'."
        return Problem(400, message, code="missing_required_parameter", param=param)
    message = f"Invalid value for '{param}': {mistake.message}."
    return Problem(400, message, code="invalid_value", param=param)


def _schema_of(response_format: _ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None or response_format.type == "text":
        return None
    if response_format.json_schema is None:
        return _ANY_OBJECT
    return response_format.json_schema.definition


def _error_type(status: int) -> tuple[str, str | None]:
    if status >= 500:
        return "server_error", None
    special = {
        401: ("invalid_request_error", "invalid_api_key"),
        403: ("request_forbidden", None),
        429: ("requests", "rate_limit_exceeded"),
    }
    return special.get(status, ("invalid_request_error", None))


def _frame(answer: Answer, kind: str, key: str, value: object) -> dict[str, Any]:
    """Write what completions and chunks have in common, around one choice."""
    ending = answer.ending
    choice = {
        "index": 0,
        key: value,
        "logprobs": None,
        "finish_reason": _FINISH_REASONS.get(ending, ending) if ending else None,
    }
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": _CREATED,
        "model": answer.model,
        "system_fingerprint": "fp_sandbox",
        "choices": [choice],
    }


def _chunk(answer: Answer, delta: Mapping[str, Any]) -> dict[str, Any]:
    return _frame(answer, "chat.completion.chunk", "delta", delta)


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None if answer.pieces is None else ""}
    if answer.ending == "tool_calls":
        yield {"tool_calls": [{"index": 0} | _tool_call(answer, "")]}
        for piece in cut_words(TOOL_ARGUMENTS):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    key = "refusal" if answer.ending == "refusal" else "content"
    for piece in answer.pieces or ():
        yield {key: piece}


def _tool_call(answer: Answer, arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{answer.id}",
        "type": "function",
        "function": {"name": TOOL_NAME, "arguments": arguments},
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"

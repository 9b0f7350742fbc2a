"""Writes requests to an upstream."""

from typing import Any

import orjson

from llm_proxy.types import ChatRequest, Reasoning, ResponseFormat
from llm_proxy.wire.dialect import Encoded
from llm_proxy.wire.json_schema import is_strict_schema, loses_strictness
from llm_proxy.wire.openai_chat.request_writer import (
    has_cache_marks,
    shorten_user,
    write_effort,
)
from llm_proxy.wire.openai_responses.request_reader import LOGPROBS
from llm_proxy.wire.openai_responses.tools import write_tool_choice, write_tools
from llm_proxy.wire.openai_responses.turn_writer import split_instructions, write_items

_NO_SUCH_KNOBS = (
    "top_k",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
)
_SAME_NAME = ("parallel_tool_calls", "temperature", "top_p")


def write_request(model: str, request: ChatRequest, stream: bool) -> Encoded:
    """Write a request.

    Args:
        model: The upstream's name of the model.
        request: What to ask.
        stream: Whether the answer comes as server-sent events.

    Returns:
        JSON, and what was dropped.

    Raises:
        UnsupportedFeatureError: The dialect has no words for what the request asks.
    """
    instructions, messages = split_instructions(request.messages)
    # Whoever asks in another dialect cannot find an answer that OpenAI keeps.
    body: dict[str, Any] = {
        "model": model,
        "input": write_items(messages),
        "store": False,
    }
    if instructions:
        body["instructions"] = instructions
    if request.tools:
        body["tools"] = write_tools(request.tools)
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice, request.tools)
    body.update(_write_options(request))
    if stream:
        body["stream"] = True
    return Encoded(orjson.dumps(body), _find_dropped(request))


def _write_options(request: ChatRequest) -> dict[str, Any]:
    options: dict[str, Any] = {
        name: value
        for name in _SAME_NAME
        if (value := getattr(request, name)) is not None
    }
    include = []
    if request.max_tokens is not None:
        options["max_output_tokens"] = request.max_tokens
    if request.reasoning is not None:
        options["reasoning"] = _write_reasoning(request.reasoning)
        # Only models that reason take the wish to get their thoughts for later.
        include.append("reasoning.encrypted_content")
    if request.logprobs is not None:
        options["top_logprobs"] = request.logprobs
        include.append(LOGPROBS)
    if include:
        options["include"] = include
    text = _write_text(request.response_format, request.verbosity)
    written = {
        "text": text,
        "user": shorten_user(request.user),
        "service_tier": request.service_tier,
    }
    options.update({name: value for name, value in written.items() if value})
    return options


def _write_text(form: ResponseFormat | None, verbosity: str) -> dict[str, Any]:
    text: dict[str, Any] = {"verbosity": verbosity} if verbosity else {}
    if form is None:
        return text
    if form.schema is None:
        return {**text, "format": {"type": "json_object"}}
    written: dict[str, Any] = {
        "type": "json_schema",
        "name": form.name,
        "schema": form.schema,
    }
    if form.description:
        written["description"] = form.description
    written["strict"] = form.strict is not False and is_strict_schema(form.schema)
    return {**text, "format": written}


def _write_reasoning(reasoning: Reasoning) -> dict[str, str]:
    effort = write_effort(reasoning)
    written = {"effort": effort} if effort else {}
    if reasoning.visible:
        written["summary"] = "auto"
    return written


def _find_dropped(request: ChatRequest) -> tuple[str, ...]:
    dropped = [
        name for name in _NO_SUCH_KNOBS if getattr(request, name) not in (None, ())
    ]
    if has_cache_marks(request):
        dropped.append("cache")
    if any(message.name for message in request.messages):
        dropped.append("name")
    if loses_strictness(request):
        dropped.append("strict")
    return tuple(dropped)

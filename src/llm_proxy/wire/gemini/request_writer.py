"""Writes requests for the Gemini API.

Source: the Gemini API reference, "Generating content".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import ChatRequest, Tool, ToolChoice
from llm_proxy.wire.dialect import Encoded
from llm_proxy.wire.free_text import as_function
from llm_proxy.wire.gemini.models import is_gemini_3
from llm_proxy.wire.gemini.thinking import write_thinking
from llm_proxy.wire.gemini.turn_writer import TurnWriter

_MAX_STOPS = 5
_INT32 = range(-(2**31), 2**31)
_MODES: Mapping[str, str] = {
    "auto": "AUTO",
    "none": "NONE",
    "required": "ANY",
    "named": "ANY",
}
_SETTINGS: Mapping[str, str] = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_TIERS: Mapping[str, str] = {
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
}


def write_request(model: str, request: ChatRequest) -> Encoded:
    """Write the request's body; see `Gemini.encode_request`.

    Args:
        model: The upstream's name of the model.
        request: What to ask.

    Returns:
        JSON, and which tuning knobs it leaves out.

    Raises:
        InvalidInputError: The conversation is one that no model can go on with.
        UnsupportedFeatureError: The API or the model cannot do what is asked.
    """
    turns = TurnWriter(model)
    for position, message in enumerate(request.messages):
        turns.add(message, f"messages.{position}")
    body: dict[str, Any] = {"contents": turns.contents()}
    dropped = turns.dropped | _dropped(request)
    if turns.system:
        body["systemInstruction"] = {"parts": turns.system}
    if request.tools:
        declarations = [_write_tool(tool) for tool in request.tools]
        body["tools"] = [{"functionDeclarations": declarations}]
        # Without functions, the API refuses to be told when to call one.
        if request.tool_choice is not None:
            body["toolConfig"] = _write_tool_choice(request.tool_choice)
    config = _write_settings(request, dropped)
    if request.reasoning is not None:
        thinking = write_thinking(model, request.reasoning)
        if thinking:
            config["thinkingConfig"] = thinking
        elif thinking is None and request.reasoning.effort != "none":
            dropped.add("reasoning")
    config |= _write_format(model, request)
    if config:
        body["generationConfig"] = config
    if request.service_tier in _TIERS:
        body["serviceTier"] = _TIERS[request.service_tier]
    return Encoded(orjson.dumps(body), tuple(sorted(dropped)))


def _dropped(request: ChatRequest) -> set[str]:
    """Name the knobs that the API does not have."""
    dropped = {
        name for name in ("logit_bias", "user", "verbosity") if getattr(request, name)
    }
    if request.parallel_tool_calls is False:
        dropped.add("parallel_tool_calls")
    if request.service_tier not in ("", "auto", *_TIERS):
        dropped.add("service_tier")
    if any(tool.cache for tool in request.tools):
        dropped.add("cache")
    if any(tool.strict for tool in request.tools):
        dropped.add("strict")
    return dropped


def _write_tool(tool: Tool) -> dict[str, Any]:
    function = as_function(tool) if tool.custom else tool
    declaration: dict[str, Any] = {"name": function.name}
    if function.description:
        declaration["description"] = function.description
    if function.parameters is not None:
        declaration["parametersJsonSchema"] = function.parameters
    return declaration


def _write_tool_choice(choice: ToolChoice) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": _MODES[choice.mode]}
    if choice.mode == "named":
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def _write_settings(request: ChatRequest, dropped: set[str]) -> dict[str, Any]:
    config = {
        theirs: value
        for ours, theirs in _SETTINGS.items()
        if (value := getattr(request, ours)) is not None
    }
    if request.stop:
        config["stopSequences"] = _check_stops(request.stop)
    if request.seed is not None:
        # The API's seed has 32 bits where the caller's may have 64.
        if request.seed in _INT32:
            config["seed"] = request.seed
        else:
            dropped.add("seed")
    if request.logprobs is not None:
        config["responseLogprobs"] = True
        if request.logprobs:
            config["logprobs"] = request.logprobs
    return config


def _check_stops(stops: Sequence[str]) -> Sequence[str]:
    if len(stops) > _MAX_STOPS:
        raise UnsupportedFeatureError(
            f"Gemini takes at most {_MAX_STOPS} stop sequences",
            details=[{"field": "stop", "problem": f"has more than {_MAX_STOPS}"}],
        )
    return stops


def _write_format(model: str, request: ChatRequest) -> dict[str, Any]:
    wanted = request.response_format
    if wanted is None:
        return {}
    if request.tools and not is_gemini_3(model):
        if not wanted.required:
            return {}
        problem = "cannot stand together with tools"
        raise UnsupportedFeatureError(
            "Gemini takes structured output together with tools only from Gemini 3 on",
            details=[{"field": "response_format", "problem": problem}],
        )
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.schema is not None:
        config["responseJsonSchema"] = wanted.schema
    return config

"""Writes requests for Converse."""

from collections.abc import Sequence
from typing import Any

import orjson

from llm_proxy.types import ChatRequest, Message, ResponseFormat, Tool, ToolChoice
from llm_proxy.wire.bedrock.caching import CachePoints
from llm_proxy.wire.bedrock.family import find_family
from llm_proxy.wire.bedrock.reasoning import write_reasoning
from llm_proxy.wire.bedrock.sampling import add_sampling
from llm_proxy.wire.bedrock.turns import TurnWriter, tell_tools
from llm_proxy.wire.dialect import Encoded
from llm_proxy.wire.free_text import as_function
from llm_proxy.wire.json_schema import close_schema


def write_request(model: str, request: ChatRequest) -> Encoded:
    """Write a request.

    Args:
        model: Bedrock's name of the model.
        request: What to ask.

    Returns:
        JSON, a ``ConverseRequest`` without its ``modelId``, and what was dropped.

    Raises:
        UnsupportedFeatureError: Converse cannot do what the request asks for.
    """
    family = find_family(model)
    cache = CachePoints(family)
    turns = TurnWriter(cache, thinks=family == "anthropic")
    choice = request.tool_choice
    # Nothing else keeps a model from calling the tools that it is offered.
    tools = () if choice is not None and choice.mode == "none" else request.tools
    messages = request.messages if tools else tell_tools(request.messages)
    body = _write_conversation(turns, messages)
    if tools:
        body["toolConfig"] = _write_tools(tools, choice, cache)
    reasoning = write_reasoning(model, family, request)
    dropped = add_sampling(body, model, family, request, reasoning)
    if output := _write_output(request.response_format, reasoning.effort):
        body["outputConfig"] = output
    if cache.dropped:
        dropped.append("cache")
    if request.wants_any_json:
        dropped.append("response_format")
    return Encoded(orjson.dumps(body), tuple(dropped))


def _write_conversation(
    writer: TurnWriter, messages: Sequence[Message]
) -> dict[str, Any]:
    system, turns = writer.write_system(messages), writer.write_turns(messages)
    if system and not turns:
        # The API refuses a conversation without turns.
        return {"messages": [{"role": "user", "content": system}]}
    return {"messages": turns, **({"system": system} if system else {})}


def _write_tools(
    tools: Sequence[Tool], choice: ToolChoice | None, cache: CachePoints
) -> dict[str, Any]:
    written: list[dict[str, Any]] = []
    for tool in tools:
        written.append({"toolSpec": _write_tool(tool)})
        written += cache.after_tool(tool.cache)
    config: dict[str, Any] = {"tools": written}
    if choice is not None and choice.mode == "required":
        config["toolChoice"] = {"any": {}}
    elif choice is not None and choice.mode == "named":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    return config


def _write_tool(tool: Tool) -> dict[str, Any]:
    function = as_function(tool) if tool.custom else tool
    schema = function.parameters or {"type": "object", "properties": {}}
    spec: dict[str, Any] = {"name": function.name, "inputSchema": {"json": schema}}
    if function.description:
        spec["description"] = function.description
    if function.strict:
        spec["inputSchema"] = {"json": close_schema(schema)}
        # Some models do not know the field.
        spec["strict"] = True
    return spec


def _write_output(form: ResponseFormat | None, effort: str) -> dict[str, Any]:
    output: dict[str, Any] = {"effort": effort} if effort else {}
    # Some models can, some cannot, and their names do not tell.
    if form is not None and form.required and form.schema is not None:
        output["textFormat"] = {
            "type": "json_schema",
            "structure": {"jsonSchema": _write_schema(form)},
        }
    return output


def _write_schema(form: ResponseFormat) -> dict[str, str]:
    schema = {
        "name": form.name,
        "schema": orjson.dumps(close_schema(form.schema or {})).decode(),
    }
    if form.description:
        schema["description"] = form.description
    return schema

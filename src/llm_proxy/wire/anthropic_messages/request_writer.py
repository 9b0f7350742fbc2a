"""A canonical request in Anthropic's words."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from llm_proxy.types import ChatRequest, Media, Message, Tool, ToolChoice
from llm_proxy.wire.anthropic_messages.block_writer import (
    shortest,
    with_cache,
    write_block,
)
from llm_proxy.wire.anthropic_messages.claude import Claude
from llm_proxy.wire.anthropic_messages.thinking import ThinkingPlan, plan_thinking
from llm_proxy.wire.dialect import Encoded
from llm_proxy.wire.free_text import as_function
from llm_proxy.wire.json_schema import close_schema

_NEVER_TAKEN = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "verbosity",
)
_TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_SERVICE_TIERS = {
    "auto": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
}
# All that the API takes while it thinks.
_LEAST_TOP_P_WITH_THOUGHTS = 0.95

_Block = dict[str, Any]


def write_request(
    model: str, request: ChatRequest, stream: bool, default_max_tokens: int
) -> Encoded:
    """Write the body of a request.

    Args:
        model: The upstream's name of the model.
        request: What to ask.
        stream: Whether the answer comes as server-sent events.
        default_max_tokens: Tokens of the answer, where the request names no bound; the
            API demands one.

    Returns:
        JSON. Without options it is ``{"model", "max_tokens", "messages"}``.

    Raises:
        UnsupportedFeatureError: The request cannot be said in this dialect.
    """
    claude = Claude.named(model)
    plan = plan_thinking(request, claude, default_max_tokens)
    system, messages = _conversation(request.messages)
    body: _Block = {
        "model": model,
        "max_tokens": plan.max_tokens,
        "messages": messages,
    }
    if system:
        body["system"] = shortest(system)
    _add_tools(body, request)
    _add_output(body, request, plan, claude)
    dropped = _add_sampling(body, request, plan, claude)
    if request.wants_any_json:
        dropped.append("response_format")
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.user:
        body["metadata"] = {"user_id": request.user}
    if request.service_tier in _SERVICE_TIERS:
        body["service_tier"] = _SERVICE_TIERS[request.service_tier]
    elif request.service_tier:
        dropped.append("service_tier")
    if stream:
        body["stream"] = True
    dropped += _unsaid(request, plan)
    return Encoded(orjson.dumps(body), tuple(dropped))


def _conversation(messages: Sequence[Message]) -> tuple[list[_Block], list[_Block]]:
    """Split off the system's part; results of tools come first in their turn.

    Neighbours of one role are one turn, or the results of one turn's calls would stand
    in two.
    """
    system: list[_Block] = []
    turns: list[tuple[str, list[_Block]]] = []
    for index, message in enumerate(messages):
        blocks = list(_blocks(message, index))
        if message.role in ("system", "developer"):
            system += blocks
        elif turns and turns[-1][0] == message.role:
            turns[-1][1].extend(blocks)
        # An empty turn of a user is the upstream's to complain about.
        elif blocks or message.role == "user":
            turns.append((message.role, blocks))
    if not turns and system:
        # The API refuses a conversation without turns.
        turns, system = [("user", system)], []
    for _, blocks in turns:
        blocks.sort(key=lambda block: block["type"] != "tool_result")
    return system, [
        {"role": role, "content": shortest(blocks) if blocks else ""}
        for role, blocks in turns
    ]


def _blocks(message: Message, index: int) -> Iterator[_Block]:
    for position, part in enumerate(message.content):
        block = write_block(part, f"messages.{index}.content.{position}")
        if block:
            yield block


def _add_tools(body: _Block, request: ChatRequest) -> None:
    # Without tools the API refuses the choice too.
    if not request.tools:
        return
    body["tools"] = [_tool(tool) for tool in request.tools]
    choice = request.tool_choice
    if choice is None and request.parallel_tool_calls is False:
        choice = ToolChoice("auto")
    if choice is None:
        return
    written: _Block = {"type": _TOOL_CHOICES[choice.mode]}
    if choice.mode == "named":
        written["name"] = choice.name
    if request.parallel_tool_calls is not None and choice.mode != "none":
        written["disable_parallel_tool_use"] = not request.parallel_tool_calls
    body["tool_choice"] = written


def _tool(tool: Tool) -> _Block:
    if tool.custom:
        tool = as_function(tool)
    written: _Block = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    # A function without parameters has none of them; the API wants to hear it.
    schema = tool.parameters or {"type": "object", "properties": {}}
    written["input_schema"] = close_schema(schema) if tool.strict else schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    return with_cache(written, tool.cache)


def _add_output(
    body: _Block, request: ChatRequest, plan: ThinkingPlan, claude: Claude
) -> None:
    config: _Block = {}
    wanted = request.response_format
    if wanted is not None and wanted.schema and (wanted.required or claude.schemas):
        config["format"] = {
            "type": "json_schema",
            "schema": close_schema(wanted.schema),
        }
    if plan.effort:
        config["effort"] = plan.effort
    if config:
        body["output_config"] = config
    if plan.thinking is not None:
        body["thinking"] = plan.thinking


def _add_sampling(
    body: _Block, request: ChatRequest, plan: ThinkingPlan, claude: Claude
) -> list[str]:
    """Add what goes together with thinking; name what does not."""
    values = {
        # The API takes 0 to 1 where the caller may say up to 2.
        "temperature": request.temperature and min(request.temperature, 1.0),
        "top_p": request.top_p,
        "top_k": request.top_k,
    }
    dropped = []
    for name, value in values.items():
        if value is None:
            continue
        with_thoughts = name == "top_p" and value >= _LEAST_TOP_P_WITH_THOUGHTS
        if claude.sampling and (with_thoughts or not plan.active):
            body[name] = value
        else:
            dropped.append(name)
    return dropped


def _unsaid(request: ChatRequest, plan: ThinkingPlan) -> Iterator[str]:
    for name in _NEVER_TAKEN:
        if getattr(request, name) not in (None, ""):
            yield name
    if not plan.possible:
        yield "reasoning"
    if any(message.name for message in request.messages):
        yield "name"
    media = [
        part
        for message in request.messages
        for part in message.content
        if isinstance(part, Media)
    ]
    if any(part.detail for part in media):
        yield "detail"

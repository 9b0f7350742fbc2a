"""A caller's request in the canonical form."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import (
    ChatRequest,
    Message,
    ResponseFormat,
    Role,
    Tool,
    ToolChoice,
)
from llm_proxy.wire.anthropic_messages.block_reader import (
    read_cache,
    read_content,
    read_texts,
)
from llm_proxy.wire.anthropic_messages.fields import Fields
from llm_proxy.wire.anthropic_messages.thinking import read_thinking
from llm_proxy.wire.anthropic_messages.threads import refuse_thread

_KNOWN = frozenset(
    (
        *("model", "messages", "system", "max_tokens", "stream", "metadata"),
        *("temperature", "top_p", "top_k", "stop_sequences", "service_tier"),
        *("tools", "tool_choice", "thinking", "output_config", "output_format"),
        "thread",
    )
)
# Without these the caller would get another answer than the one it asks for.
_FEATURES = {"mcp_servers": "MCP servers", "container": "Containers"}
_SERVICE_TIERS = {"standard_only": "default"}


def check_request(fields: Mapping[str, Any]) -> None:
    """Refuse what no upstream could answer.

    Args:
        fields: The caller's JSON.

    Raises:
        InvalidInputError: A field that every request needs is missing or wrong.
    """
    body = Fields(fields)
    if body.values.get("messages") is None:
        body.fail("messages", "Field required")
    if not body.array("messages"):
        body.fail("messages", "at least one message is required")
    # Zero asks the vendor to read the prompt into its cache, and no more.
    if body.integer("max_tokens", 0) is None:
        body.fail("max_tokens", "Field required")
    body.boolean("stream")


def read_request(fields: Mapping[str, Any]) -> ChatRequest:
    """Read a request.

    Args:
        fields: The caller's JSON.

    Returns:
        The canonical form.

    Raises:
        InvalidInputError: A field is not what it should be.
        UnsupportedFeatureError: It asks for what only the vendor's own models do.
    """
    body = Fields(fields)
    refuse_thread(body)
    for name, feature in _FEATURES.items():
        if body.values.get(name):
            body.refuse(name, feature)
    choice = body.object("tool_choice")
    metadata = body.object("metadata")
    tier = body.optional_text("service_tier")
    return ChatRequest(
        messages=_messages(body),
        tools=tuple([_tool(tool) for tool in body.objects("tools")]),
        tool_choice=_tool_choice(choice) if choice else None,
        parallel_tool_calls=_parallel_tool_calls(choice) if choice else None,
        response_format=_response_format(body),
        reasoning=read_thinking(body),
        max_tokens=body.integer("max_tokens", 1),
        temperature=body.number("temperature", 1),
        top_p=body.number("top_p", 1),
        top_k=body.integer("top_k", 0),
        stop=_stop_sequences(body),
        user=metadata.optional_text("user_id") if metadata else "",
        service_tier=_SERVICE_TIERS.get(tier, tier),
        unknown=tuple(sorted(fields.keys() - _KNOWN - _FEATURES.keys())),
    )


def _messages(body: Fields) -> tuple[Message, ...]:
    messages = []
    system = read_texts(body, "system")
    if system:
        messages.append(Message("system", system))
    for message in body.objects("messages"):
        role = _role(message)
        if role == "system":
            if message.values.get("content") is None:
                message.fail("content", "Field required")
            messages.append(Message(role, read_texts(message, "content")))
        else:
            messages.append(Message(role, read_content(message, role)))
    return tuple(messages)


def _role(message: Fields) -> Role:
    match message.text("role"):
        case "user":
            return "user"
        case "assistant":
            return "assistant"
        case "system":
            return "system"
        case _:
            message.fail("role", "Input should be 'user', 'assistant' or 'system'")


def _tool(tool: Fields) -> Tool:
    if tool.optional_text("type") not in ("", "custom"):
        tool.refuse("type", "Tools that the vendor runs or defines")
    return Tool(
        name=tool.text("name"),
        description=tool.optional_text("description"),
        parameters=tool.mapping("input_schema"),
        strict=tool.boolean("strict"),
        cache=read_cache(tool),
    )


def _tool_choice(choice: Fields) -> ToolChoice:
    match choice.text("type"):
        case "auto":
            return ToolChoice("auto")
        case "any":
            return ToolChoice("required")
        case "none":
            return ToolChoice("none")
        case "tool":
            return ToolChoice("named", choice.text("name"))
        case _:
            choice.fail("type", "Input should be 'auto', 'any', 'tool' or 'none'")


def _parallel_tool_calls(choice: Fields) -> bool | None:
    disabled = choice.boolean("disable_parallel_tool_use")
    return None if disabled is None else not disabled


def _response_format(body: Fields) -> ResponseFormat | None:
    config = body.object("output_config")
    wanted = config.object("format") if config else None
    # The name that the field had while it was new.
    wanted = wanted or body.object("output_format")
    if wanted is None:
        return None
    if wanted.text("type") != "json_schema":
        wanted.fail("type", "Input should be 'json_schema'")
    return ResponseFormat(wanted.mapping("schema"), strict=None)


def _stop_sequences(body: Fields) -> tuple[str, ...]:
    stop = body.array("stop_sequences")
    for index, text in enumerate(stop):
        if not isinstance(text, str):
            body.fail(f"stop_sequences.{index}", "Input should be a valid string")
    return tuple(stop)

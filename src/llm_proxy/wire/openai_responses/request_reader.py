"""Reads a caller's request.

Source: the OpenAI API reference, "Create a model response".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import ChatRequest, Reasoning, ResponseFormat
from llm_proxy.wire.openai_chat.fields import (
    take_flag,
    take_integer,
    take_list,
    take_number,
    take_object,
    take_one_of,
    take_optional_text,
    take_text,
    unsupported,
)
from llm_proxy.wire.openai_responses.tools import read_tool_choice, read_tools
from llm_proxy.wire.openai_responses.turn_reader import read_turns, take_input

LOGPROBS = "message.output_text.logprobs"
# What else the API knows means something to us, or nothing to any other vendor.
_KNOWN = frozenset(
    (
        "background",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    )
)
_MOST_TOKENS = 10**9
_SAID_ELSEWHERE = ("previous_response_id", "conversation", "prompt")


def check_request(fields: Mapping[str, Any]) -> None:
    """Refuse what no upstream could answer.

    Args:
        fields: A caller's request.

    Raises:
        InvalidInputError: It says nothing, or not how it wants the answer.
    """
    said = fields.get("input")
    elsewhere = any(fields.get(name) is not None for name in _SAID_ELSEWHERE)
    if not isinstance(said, str) and not (said is None and elsewhere):
        take_input(said)
    take_flag(fields.get("stream"), "stream")


def read_request(fields: Mapping[str, Any]) -> ChatRequest:
    """Read a request.

    Args:
        fields: A caller's request; turns that the proxy has stored stand in ``input``.

    Returns:
        The canonical form.

    Raises:
        InvalidInputError: A field is not what it must be.
        UnsupportedFeatureError: It asks for what only OpenAI can do.
    """
    if fields.get("prompt") is not None:
        raise unsupported("prompt", "prompts that are stored at OpenAI")
    if fields.get("conversation") is not None:
        raise unsupported("conversation", "conversations that are stored at OpenAI")
    choice, tools = read_tool_choice(fields, read_tools(fields))
    text = take_object(fields.get("text") or {}, "text")
    return ChatRequest(
        messages=read_turns(fields),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=take_flag(
            fields.get("parallel_tool_calls"), "parallel_tool_calls"
        ),
        response_format=_read_format(text.get("format")),
        reasoning=_read_reasoning(fields.get("reasoning")),
        max_tokens=take_integer(
            fields.get("max_output_tokens"), "max_output_tokens", 1, _MOST_TOKENS
        ),
        temperature=take_number(fields.get("temperature"), "temperature", 0, 2),
        top_p=take_number(fields.get("top_p"), "top_p", 0, 1),
        logprobs=_read_logprobs(fields),
        user=_read_user(fields),
        service_tier=take_optional_text(fields.get("service_tier"), "service_tier"),
        verbosity=take_optional_text(text.get("verbosity"), "text.verbosity"),
        unknown=_find_unknown(fields),
    )


def _read_format(value: object) -> ResponseFormat | None:
    if value is None:
        return None
    field = "text.format"
    form = take_object(value, field)
    kinds = ("text", "json_object", "json_schema")
    kind = take_one_of(form.get("type"), f"{field}.type", kinds)
    if kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat()
    return ResponseFormat(
        take_object(form.get("schema"), f"{field}.schema"),
        take_text(form.get("name"), f"{field}.name"),
        take_optional_text(form.get("description"), f"{field}.description"),
        take_flag(form.get("strict"), f"{field}.strict"),
    )


def _read_reasoning(value: object) -> Reasoning | None:
    if value is None:
        return None
    reasoning = take_object(value, "reasoning")
    effort = take_optional_text(reasoning.get("effort"), "reasoning.effort")
    names = ("summary", "generate_summary")
    wanted = [take_optional_text(reasoning.get(n), f"reasoning.{n}") for n in names]
    visible = True if any(wanted) else None
    return Reasoning(effort, visible=visible) if effort or visible else None


def _read_logprobs(fields: Mapping[str, Any]) -> int | None:
    include = fields.get("include")
    alternatives = take_integer(fields.get("top_logprobs"), "top_logprobs", 0, 20)
    if include is None or LOGPROBS not in take_list(include, "include"):
        return None
    return alternatives or 0


def _read_user(fields: Mapping[str, Any]) -> str:
    names = ("user", "safety_identifier")
    ids = [take_optional_text(fields.get(name), name) for name in names]
    return ids[0] or ids[1]


def _find_unknown(fields: Mapping[str, Any]) -> tuple[str, ...]:
    unknown = {
        name for name in fields if name not in _KNOWN and fields[name] is not None
    }
    if fields.get("truncation") == "auto":
        unknown.add("truncation")
    return tuple(sorted(unknown))

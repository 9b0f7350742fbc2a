"""Writes a request for an upstream.

Source: the OpenAI API reference, "Create chat completion".
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from llm_proxy.types import ChatRequest, Reasoning, ResponseFormat, ToolResult
from llm_proxy.wire.json_schema import is_strict_schema, loses_strictness
from llm_proxy.wire.openai_chat.message_writer import Words, write_messages
from llm_proxy.wire.openai_chat.tools import write_tool, write_tool_choice

# Thoughts of at most so many tokens are what the efforts commonly stand for.
_EFFORT_OF_BUDGET = ((2048, "low"), (8192, "medium"))
# OpenAI's models that do not reason refuse to be told how much they should.
_NEVER_REASONS = re.compile(r"(?:^|/)(?:gpt-[34]|chatgpt-4o)")
_LONGEST_USER = 64
# Anthropic has one more.
_EFFORTS = {"max": "xhigh"}


class Limits(NamedTuple):
    """What an upstream takes, beside its words.

    Attributes:
        max_tokens_field: The name of the field that bounds the answer.
        json_schema: Whether a form of the answer that is not required is sent.
        lacks: Canonical names of tuning knobs that it does not have.
    """

    max_tokens_field: str
    json_schema: bool
    lacks: frozenset[str]


def write_request(
    model: str, request: ChatRequest, words: Words, limits: Limits
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write a request.

    Args:
        model: The upstream's name of the model.
        request: What to ask.
        words: What the upstream understands.
        limits: What it takes.

    Returns:
        The body, which is ``{"model", "messages"}`` without options, and the canonical
        names of what was dropped.

    Raises:
        UnsupportedFeatureError: The dialect has no words for a part.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": write_messages(request.messages, words),
    }
    if request.tools:
        _write_tools(body, request, words)
    form = request.response_format
    if form is not None and (form.required or limits.json_schema):
        body["response_format"] = _write_format(form)
    knobs = _write_knobs(request, limits.max_tokens_field)
    lacks = limits.lacks
    if _NEVER_REASONS.search(model):
        lacks |= {"reasoning"}
    dropped = [name for name in knobs if name in lacks]
    for name, written in knobs.items():
        if name not in lacks:
            body.update(written)
    if not words.cache and has_cache_marks(request):
        dropped.append("cache")
    if loses_strictness(request):
        dropped.append("strict")
    return body, tuple(dropped)


def _write_tools(body: dict[str, Any], request: ChatRequest, words: Words) -> None:
    body["tools"] = [
        write_tool(tool, custom=words.custom, cache=words.cache)
        for tool in request.tools
    ]
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(
            request.tool_choice, request.tools, custom=words.custom
        )


def _write_knobs(
    request: ChatRequest, max_tokens_field: str
) -> dict[str, dict[str, Any]]:
    """Write all tuning knobs that are set, by their canonical names."""
    knobs: dict[str, dict[str, Any]] = {}
    if request.max_tokens is not None:
        knobs["max_tokens"] = {max_tokens_field: request.max_tokens}
    for name in _SAME_NAME:
        value = getattr(request, name)
        # Zero is a setting; an empty text or list is none.
        if value is not None and value not in ("", ()):
            knobs[name] = {name: value}
    if request.logprobs is not None:
        knobs["logprobs"] = {"logprobs": True, "top_logprobs": request.logprobs}
    if request.parallel_tool_calls is not None and request.tools:
        # The vendor refuses it without tools.
        knobs["parallel_tool_calls"] = {
            "parallel_tool_calls": request.parallel_tool_calls
        }
    if request.user:
        knobs["user"] = {"user": shorten_user(request.user)}
    if request.reasoning is not None:
        effort = write_effort(request.reasoning)
        if effort:
            knobs["reasoning"] = {"reasoning_effort": effort}
    return knobs


_SAME_NAME = (
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "service_tier",
    "verbosity",
)


def shorten_user(user: str) -> str:
    """Write an end user's id that OpenAI takes.

    Args:
        user: Any id; that of Claude Code is longer than what OpenAI takes.

    Returns:
        The same id, or the same digest for the same long id.
    """
    if len(user) <= _LONGEST_USER:
        return user
    return sha256(user.encode()).hexdigest()


def write_effort(reasoning: Reasoning) -> str:
    """Write how much a model should think, in OpenAI's words.

    Args:
        reasoning: An effort, or a budget that stands for one.

    Returns:
        The effort; empty if it is left to the provider.
    """
    budget = reasoning.budget_tokens
    if reasoning.effort or budget is None:
        return _EFFORTS.get(reasoning.effort, reasoning.effort)
    return next((name for most, name in _EFFORT_OF_BUDGET if budget <= most), "high")


def has_cache_marks(request: ChatRequest) -> bool:
    """Find out whether a request says what the provider should keep.

    Args:
        request: What to ask.

    Returns:
        Whether there is a mark on a tool, on a part, or inside of a tool's result.
    """
    parts = [turn.content for turn in request.messages]
    return _are_marked(request.tools) or any(map(_are_marked, parts))


def _are_marked(holders: Iterable[object]) -> bool:
    for holder in holders:
        if getattr(holder, "cache", None) is not None:
            return True
        if isinstance(holder, ToolResult) and _are_marked(holder.content):
            return True
    return False


def _write_format(form: ResponseFormat) -> dict[str, Any]:
    if form.schema is None:
        return {"type": "json_object"}
    inner: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.description:
        inner["description"] = form.description
    inner["strict"] = form.strict is not False and is_strict_schema(form.schema)
    return {"type": "json_schema", "json_schema": inner}

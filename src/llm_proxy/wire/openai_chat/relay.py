"""Lets requests and complete answers pass, and looks at what we must know of them."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_proxy.wire.dialect import Passage, WireError
from llm_proxy.wire.openai_chat.answer_reader import (
    read_answer,
    read_choices,
    read_finish_reason,
    read_thoughts,
)
from llm_proxy.wire.openai_chat.call_reader import read_call, read_entries
from llm_proxy.wire.openai_chat.usage import read_usage
from llm_proxy.wire.reading import read_mapping, read_string, read_text
from llm_proxy.wire.splice import splice


def relay_usage_wish(fields: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Ask for the usage of a stream, whether or not the caller did.

    Args:
        fields: The caller's JSON.

    Returns:
        The members of the request that have to change.
    """
    options = fields.get("stream_options") or {}
    if fields.get("stream") is not True or options.get("include_usage") is True:
        return {}
    return {"stream_options": orjson.dumps({**options, "include_usage": True})}


def relay_max_tokens(fields: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Rename ``max_completion_tokens`` for an upstream that only knows the old name.

    Args:
        fields: The caller's JSON.

    Returns:
        The members of the request that have to change.
    """
    if "max_completion_tokens" not in fields:
        return {}
    renamed: dict[str, bytes | None] = {"max_completion_tokens": None}
    if fields["max_completion_tokens"] is not None:
        renamed["max_tokens"] = orjson.dumps(fields["max_completion_tokens"])
    return renamed


def relay_roles(fields: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Write ``system`` where a caller says ``developer``.

    Args:
        fields: The caller's JSON.

    Returns:
        The members of the request that have to change.
    """
    messages = fields["messages"]
    if not any(message.get("role") == "developer" for message in messages):
        return {}
    renamed = [
        {**message, "role": "system"} if message.get("role") == "developer" else message
        for message in messages
    ]
    return {"messages": orjson.dumps(renamed)}


def relay(
    body: bytes,
    fields: Mapping[str, Any],
    model: str,
    changes: Mapping[str, bytes | None],
) -> bytes:
    """Change the model and a few members more, and no other byte.

    Args:
        body: The caller's JSON.
        fields: What it says.
        model: The upstream's name of the model.
        changes: Other members, as `splice` takes them.

    Returns:
        The upstream's JSON.
    """
    return splice(body, {"model": orjson.dumps(model), **changes}, fields)


def observe(body: bytes) -> Passage:
    """Look at a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        The same bytes, and what they say.

    Raises:
        UpstreamFaultError: They are an error.
        WireError: They are no answer.
    """
    answer = read_answer(body)
    finish_reason = None
    has_content = False
    for choice in read_choices(answer):
        message = read_mapping(choice, "message")
        reason = choice.get("finish_reason")
        if not (message or reason) and choice.get("text") is None:
            raise WireError("the choice has no message")
        said = has_content_in(message) or bool(read_string(choice, "text"))
        has_content = has_content or said or bool(reason)
        if finish_reason is None and reason:
            called = bool(message.get("tool_calls"))
            finish_reason = read_finish_reason(choice, called)
    model = answer.get("model")
    return Passage(
        body,
        has_content,
        finish_reason,
        read_usage(answer.get("usage")),
        model if isinstance(model, str) else None,
    )


def has_content_in(message: Mapping[str, Any]) -> bool:
    """Say whether there is anything of an answer in a message.

    Args:
        message: A message, or the delta of one.

    Returns:
        Whether it has text, a refusal, a call of a tool, a sound or thoughts.

    Raises:
        WireError: A text, or the arguments of a call, cannot be read.
    """
    text = message.get("content")
    if isinstance(text, str) and len(message) == 1:
        return bool(text)
    read_text(message, "content")
    read_text(message, "refusal")
    for entry in read_entries(message):
        read_call(entry)
    return any(message.get(name) for name in _CONTENT) or bool(read_thoughts(message))


_CONTENT = ("content", "refusal", "tool_calls", "function_call", "audio")

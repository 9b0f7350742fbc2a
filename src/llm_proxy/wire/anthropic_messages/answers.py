"""Complete answers, read and written."""

from collections.abc import Iterator
from typing import Any

import orjson

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    Part,
    Text,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from llm_proxy.wire.anthropic_messages.stop_reasons import (
    read_stop_reason,
    read_stop_sequence,
    write_ending,
)
from llm_proxy.wire.anthropic_messages.usage import UsageTally, write_usage
from llm_proxy.wire.dialect import Passage, UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.free_text import write_arguments
from llm_proxy.wire.gathering import PartGatherer
from llm_proxy.wire.reading import read_mapping, read_object, read_string
from llm_proxy.wire.surface import Asked

_EMPTY_TEXT = {"type": "text", "text": "", "citations": []}


def read_answer(body: bytes) -> ChatResponse:
    """Read a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        The answer; without parts if the model gave none.

    Raises:
        UpstreamFaultError: The body is an error.
        WireError: The body is not an answer.
    """
    answer = _message(body)
    parts = PartGatherer()
    for call, block in enumerate(answer["content"]):
        delta = read_block(block, call)
        if delta is not None:
            parts.add(delta)
    return ChatResponse(
        parts=parts.all(),
        model=read_model(answer) or "",
        finish_reason=read_stop_reason(answer.get("stop_reason")) or "stop",
        usage=UsageTally().add(answer.get("usage")) or Usage(),
        stop_sequence=read_stop_sequence(answer.get("stop_sequence")),
    )


def observe_answer(body: bytes) -> Passage:
    """Look at a complete answer that a caller gets as it is.

    Args:
        body: The upstream's bytes.

    Returns:
        The same bytes and what we must know of them.

    Raises:
        UpstreamFaultError: The body is an error.
        WireError: The body is not an answer.
    """
    answer = _message(body)
    said = [_says_something(block) for block in answer["content"]]
    return Passage(
        data=body,
        has_content=any(said),
        finish_reason=read_stop_reason(answer.get("stop_reason")) or "stop",
        usage=UsageTally().add(answer.get("usage")),
        model=read_model(answer),
    )


def read_block(block: object, call: int) -> Chunk | None:
    """Read one content block of an answer.

    Args:
        block: The block, whatever it is.
        call: The number of the call, if it is one; any that no other call has.

    Returns:
        What it says; None if it is nothing that we know.

    Raises:
        WireError: It is a piece of the answer that cannot be read.
    """
    if not isinstance(block, dict):
        raise WireError("a content block is not an object")
    match block.get("type"):
        case "text":
            return Chunk(read_string(block, "text"))
        case "thinking":
            text = read_string(block, "thinking")
            signature = read_string(block, "signature")
            return Chunk(delta=ThinkingDelta(text, signature))
        case "redacted_thinking":
            return Chunk(delta=ThinkingDelta(encrypted=read_string(block, "data")))
        case "tool_use":
            id_, name = read_string(block, "id"), read_string(block, "name")
            if not (id_ and name):
                raise WireError("a tool call has no name or no id")
            arguments = orjson.dumps(read_mapping(block, "input")).decode()
            return Chunk(delta=ToolCallDelta(call, id_, name, arguments))
        case _:
            return None


def read_model(answer: dict[str, Any]) -> str | None:
    """Read who says to have answered.

    Args:
        answer: A message.

    Returns:
        The model, if it is named.
    """
    model = answer.get("model")
    return model if isinstance(model, str) else None


def write_answer(response: ChatResponse, asked: Asked) -> bytes:
    """Write a complete answer.

    Args:
        response: The answer.
        asked: What it answers.

    Returns:
        JSON.
    """
    message = write_message(response.model, response.usage, asked)
    message["content"] = [
        block for part in response.parts for block in write_blocks(part)
    ] or [_EMPTY_TEXT]
    message |= write_ending(response.finish_reason, response.stop_sequence)
    return orjson.dumps(message)


def write_message(model: str, usage: Usage, asked: Asked) -> dict[str, Any]:
    """Write a message without content that has not ended.

    Args:
        model: Who answers; empty if the answer does not say.
        usage: What is known of its tokens.
        asked: What it answers.

    Returns:
        The message.
    """
    return {
        "id": f"msg_{asked.id}",
        "type": "message",
        "role": "assistant",
        "model": model or asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": write_usage(usage),
    }


def write_blocks(part: Part) -> Iterator[dict[str, Any]]:
    """Write a part of an answer.

    Args:
        part: A text, thoughts, or a call.

    Yields:
        Its content blocks. Thoughts that can be read, and that come with a form that
        only their provider reads, are two.
    """
    match part:
        case Text():
            if part.text:
                yield {"type": "text", "text": part.text, "citations": []}
        case Thinking():
            if part.text or part.signature:
                yield {
                    "type": "thinking",
                    "thinking": part.text,
                    "signature": part.signature,
                }
            if part.encrypted:
                yield {"type": "redacted_thinking", "data": part.encrypted}
        case ToolCall():
            arguments = write_arguments(part.arguments, custom=part.custom)
            yield write_tool_use(part.id, part.name, arguments)


def write_tool_use(id_: str, name: str, arguments: object) -> dict[str, Any]:
    """Write a call of a tool.

    Args:
        id_: Its id.
        name: The tool.
        arguments: Its arguments.

    Returns:
        The content block.
    """
    return {
        "type": "tool_use",
        "id": id_,
        "name": name,
        "input": arguments,
        "caller": {"type": "direct"},
    }


def _message(body: bytes) -> dict[str, Any]:
    answer = read_object(body)
    if not isinstance(answer.get("content"), list):
        if answer.get("error"):
            raise UpstreamFaultError(error_detail(answer["error"]))
        raise WireError("the answer has no content")
    if not answer["content"] and answer.get("stop_reason") is None:
        # A model may say nothing, but then it says why.
        raise WireError("the answer is empty and has no stop reason")
    return answer


def _says_something(block: object) -> bool:
    """Whether a content block, if it can be read, is more than an empty text."""
    read = read_block(block, 0)
    return read is None or bool(read.text or read.delta)

"""Reads complete answers of Converse."""

from collections.abc import Iterator
from typing import Any

import orjson

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    ThinkingDelta,
    ToolCallDelta,
)
from llm_proxy.wire.bedrock.finish import read_finish
from llm_proxy.wire.bedrock.usage import read_usage
from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.reading import read_object

# A tool that Bedrock runs by itself is nothing for the caller to run.
HOSTED = "server_tool_use"


def read_answer(body: bytes) -> ChatResponse:
    """Read a complete answer, as if it had been streamed.

    Args:
        body: JSON, a ``ConverseResponse``.

    Returns:
        The answer.

    Raises:
        UpstreamFaultError: The model failed.
        WireError: The body is not an answer.
    """
    answer = read_object(body)
    output = answer.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        raise WireError("the answer has no content")
    return gather(
        [
            *_read_blocks(content),
            read_finish(answer),
            Chunk(usage=read_usage(answer.get("usage"))),
        ]
    )


def _read_blocks(content: list[Any]) -> Iterator[Chunk]:
    calls = 0
    for block in content:
        if not isinstance(block, dict):
            raise WireError("a block is not an object")
        for kind, value in block.items():
            if kind == "text" and isinstance(value, str):
                yield Chunk(value)
            elif not isinstance(value, dict):
                continue
            elif kind == "reasoningContent":
                yield Chunk(delta=_read_thinking(value))
            elif kind == "citationsContent":
                yield Chunk(_read_cited(value.get("content")))
            elif kind == "toolUse" and value.get("type") != HOSTED:
                yield Chunk(delta=_read_call(calls, value))
                calls += 1


def _read_thinking(block: dict[str, Any]) -> ThinkingDelta:
    shown = block.get("reasoningText")
    text = shown if isinstance(shown, dict) else {}
    return ThinkingDelta(
        _string(text, "text"),
        _string(text, "signature"),
        _string(block, "redactedContent"),
    )


def _read_cited(pieces: object) -> str:
    if not isinstance(pieces, list):
        return ""
    return "".join([_string(piece, "text") for piece in pieces])


def _read_call(call: int, block: dict[str, Any]) -> ToolCallDelta:
    name = _string(block, "name")
    if not name:
        raise WireError("a tool call has no name")
    arguments = orjson.dumps(block.get("input", {})).decode()
    return ToolCallDelta(call, _string(block, "toolUseId"), name, arguments)


def _string(block: object, name: str) -> str:
    value = block.get(name) if isinstance(block, dict) else None
    return value if isinstance(value, str) else ""

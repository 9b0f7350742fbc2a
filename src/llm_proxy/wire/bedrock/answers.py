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
from llm_proxy.wire.reading import read_mapping, read_mappings, read_object, read_string

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
    if not (isinstance(message, dict) and isinstance(message.get("content"), list)):
        raise WireError("the answer has no content")
    return gather(
        [
            *_read_blocks(read_mappings(message, "content")),
            read_finish(answer),
            Chunk(usage=read_usage(answer.get("usage"))),
        ]
    )


def _read_blocks(content: list[dict[str, Any]]) -> Iterator[Chunk]:
    calls = 0
    for block in content:
        for kind in [kind for kind, value in block.items() if value is not None]:
            match kind:
                case "text":
                    yield Chunk(read_string(block, kind))
                case "reasoningContent":
                    yield Chunk(delta=_read_thinking(read_mapping(block, kind)))
                case "citationsContent":
                    yield Chunk(_read_cited(read_mapping(block, kind)))
                case "toolUse":
                    call = read_mapping(block, kind)
                    if call.get("type") != HOSTED:
                        yield Chunk(delta=_read_call(calls, call))
                        calls += 1


def _read_thinking(block: dict[str, Any]) -> ThinkingDelta:
    shown = read_mapping(block, "reasoningText")
    return ThinkingDelta(
        read_string(shown, "text"),
        read_string(shown, "signature"),
        read_string(block, "redactedContent"),
    )


def _read_cited(block: dict[str, Any]) -> str:
    pieces = read_mappings(block, "content")
    return "".join([read_string(piece, "text") for piece in pieces])


def _read_call(call: int, block: dict[str, Any]) -> ToolCallDelta:
    name = read_string(block, "name")
    if not name:
        raise WireError("a tool call has no name")
    arguments = orjson.dumps(block.get("input", {})).decode()
    return ToolCallDelta(call, read_string(block, "toolUseId"), name, arguments)

"""Parts of turns as the content blocks of a request."""

import base64
import binascii
import re
from typing import Any

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import (
    CacheTTL,
    Media,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_proxy.wire.free_text import write_arguments

_NOT_OF_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def write_block(part: Part, field: str) -> dict[str, Any] | None:
    """Write one part.

    Args:
        part: What is said.
        field: Where the part stands in the canonical request.

    Returns:
        The block; None for what the API does not take and nobody misses: an empty
        text, and thoughts that it could not verify.

    Raises:
        UnsupportedFeatureError: The API has no such block.
    """
    block: dict[str, Any] | None
    match part:
        case Text():
            block = {"type": "text", "text": part.text} if part.text else None
        case Thinking():
            return _thinking(part)
        case Media():
            block = _media(part, field)
        case ToolCall():
            block = {
                "type": "tool_use",
                "id": _safe_id(part.id),
                "name": part.name,
                "input": write_arguments(part.arguments, custom=part.custom),
            }
        case ToolResult():
            block = _tool_result(part, field)
    return block and with_cache(block, part.cache)


def with_cache(block: dict[str, Any], cache: CacheTTL | None) -> dict[str, Any]:
    """Mark a block as the end of what the provider should keep.

    Args:
        block: A block, or a tool.
        cache: For how long; None for not at all.

    Returns:
        The same block.
    """
    if cache is not None:
        control = {"type": "ephemeral"}
        if cache != "5m":
            control["ttl"] = cache
        block["cache_control"] = control
    return block


def shortest(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Write content that is nothing but text as a string.

    Args:
        blocks: The content.

    Returns:
        A string where that says the same.
    """
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _safe_id(call_id: str) -> str:
    """Other vendors' ids have characters that this API refuses."""
    return _NOT_OF_IDS.sub("_", call_id)


def _thinking(part: Thinking) -> dict[str, Any] | None:
    if part.origin:
        return None
    if part.signature:
        return {
            "type": "thinking",
            "thinking": part.text,
            "signature": part.signature,
        }
    if part.encrypted:
        return {"type": "redacted_thinking", "data": part.encrypted}
    return None


def _tool_result(part: ToolResult, field: str) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": _safe_id(part.call_id),
    }
    content = [
        inner
        for index, piece in enumerate(part.content)
        if (inner := write_block(piece, f"{field}.content.{index}"))
    ]
    if content:
        block["content"] = shortest(content)
    if part.is_error:
        block["is_error"] = True
    return block


def _media(part: Media, field: str) -> dict[str, Any]:
    if part.kind == "audio":
        raise _unsupported("audio", field)
    block: dict[str, Any] = {"type": part.kind, "source": _source(part, field)}
    if part.kind == "document" and part.name:
        block["title"] = part.name
    return block


def _source(part: Media, field: str) -> dict[str, str]:
    if part.file_id:
        return {"type": "file", "file_id": part.file_id}
    if part.url:
        return {"type": "url", "url": part.url}
    media_type = part.media_type.partition(";")[0].strip()
    if part.kind == "document" and media_type.startswith("text/"):
        text = {"type": "text", "media_type": "text/plain"}
        return text | {"data": _decoded(part.data, field)}
    if part.kind == "document" and media_type not in ("", "application/pdf"):
        raise _unsupported("documents other than PDF and text", field)
    if part.kind == "document":
        media_type = "application/pdf"
    elif media_type == "image/jpg":
        media_type = "image/jpeg"
    return {"type": "base64", "media_type": media_type, "data": part.data}


def _decoded(data: str, field: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise _unsupported("text documents that are not UTF-8", field) from None


def _unsupported(feature: str, field: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"The Anthropic dialect has no {feature}",
        details=[{"field": field, "problem": f"The dialect has no {feature}"}],
    )

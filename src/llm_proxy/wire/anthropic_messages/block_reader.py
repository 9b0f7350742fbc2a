"""Content blocks of a caller as parts of turns."""

import base64
from collections.abc import Callable, Mapping

from llm_proxy.types import (
    CacheTTL,
    Media,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_proxy.wire.anthropic_messages.fields import Fields

_ROLES: Mapping[str, Role] = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
}


def read_content(owner: Fields, role: Role) -> tuple[Part, ...]:
    """Read the content of a turn.

    Args:
        owner: The message.
        role: Who speaks.

    Returns:
        Its parts; results of tools come first.

    Raises:
        InvalidInputError: A block is not what it should be.
        UnsupportedFeatureError: A block is only for the vendor's own models.
    """
    if owner.values.get("content") is None:
        owner.fail("content", "Field required")
    if isinstance(owner.values["content"], str):
        return (Text(owner.text("content")),)
    parts = [_read_block(block, role) for block in owner.objects("content")]
    parts.sort(key=lambda part: not isinstance(part, ToolResult))
    return tuple(parts)


def read_texts(owner: Fields, key: str) -> tuple[Text, ...]:
    """Read a field that is a string or text blocks.

    Args:
        owner: The object that has it.
        key: Its name.

    Returns:
        The texts; none if there is no such field.

    Raises:
        InvalidInputError: It is something else.
    """
    if isinstance(owner.values.get(key), str):
        return (Text(owner.text(key)),)
    texts = []
    for block in owner.objects(key):
        if block.text("type") != "text":
            block.fail("type", "Input should be 'text'")
        texts.append(_text(block))
    return tuple(texts)


def read_cache(block: Fields) -> CacheTTL | None:
    """Read ``cache_control``.

    Args:
        block: A block, or a tool.

    Returns:
        For how long the prompt up to here should be kept.

    Raises:
        InvalidInputError: It is not what it should be.
    """
    control = block.object("cache_control")
    if control is None:
        return None
    if control.text("type") != "ephemeral":
        control.fail("type", "Input should be 'ephemeral'")
    match control.optional_text("ttl"):
        case "" | "5m":
            return "5m"
        case "1h":
            return "1h"
        case _:
            control.fail("ttl", "Input should be '5m' or '1h'")


def _read_block(block: Fields, role: Role) -> Part:
    kind = block.text("type")
    read = _READERS.get(kind)
    if read is None:
        block.refuse("type", f"Content of type {_name(kind)}")
    if _ROLES.get(kind, role) != role:
        problem = f"`{kind}` blocks can only be in `{_ROLES[kind]}` messages"
        block.fail("", problem)
    return read(block)


def _name(kind: str) -> str:
    """A caller's word as we may repeat it: a name, and not more than that."""
    return kind if kind.isidentifier() and len(kind) <= 64 else "unknown"


def _text(block: Fields) -> Text:
    return Text(block.text("text"), read_cache(block))


def _thinking(block: Fields) -> Thinking:
    return Thinking(block.text("thinking"), block.optional_text("signature"))


def _redacted_thinking(block: Fields) -> Thinking:
    return Thinking(encrypted=block.text("data"))


def _tool_use(block: Fields) -> ToolCall:
    block.mapping("input")
    return ToolCall(
        block.text("id"),
        block.text("name"),
        block.json("input"),
        cache=read_cache(block),
    )


def _tool_result(block: Fields) -> ToolResult:
    content: tuple[Text | Media, ...]
    if isinstance(block.values.get("content"), str):
        text = block.text("content")
        content = (Text(text),) if text else ()
    else:
        content = tuple([_read_result(inner) for inner in block.objects("content")])
    return ToolResult(
        block.text("tool_use_id"),
        content,
        is_error=bool(block.boolean("is_error")),
        cache=read_cache(block),
    )


def _read_result(block: Fields) -> Text | Media:
    kind = block.text("type")
    match kind:
        case "text":
            return _text(block)
        case "image":
            return _image(block)
        case "document":
            return _document(block)
        case _:
            block.refuse("type", f"Results of type {_name(kind)}")


def _image(block: Fields) -> Media:
    source = _source(block)
    cache = read_cache(block)
    match source.text("type"):
        case "base64":
            media_type, data = source.text("media_type"), source.text("data")
            return Media("image", media_type=media_type, data=data, cache=cache)
        case "url":
            return Media("image", url=source.text("url"), cache=cache)
        case "file":
            return Media("image", file_id=source.text("file_id"), cache=cache)
        case _:
            source.fail("type", "Input should be 'base64', 'url' or 'file'")


def _document(block: Fields) -> Media:
    source = _source(block)
    citations = block.object("citations")
    if citations and citations.boolean("enabled"):
        block.refuse("citations", "Citations")
    if block.optional_text("context"):
        block.refuse("context", "The context of a document")
    name, cache = block.optional_text("title"), read_cache(block)
    match source.text("type"):
        case "base64":
            media_type, data = source.text("media_type"), source.text("data")
        case "text":
            media_type = "text/plain"
            data = base64.b64encode(source.text("data").encode()).decode()
        case "url":
            return Media("document", url=source.text("url"), name=name, cache=cache)
        case "file":
            file_id = source.text("file_id")
            return Media("document", file_id=file_id, name=name, cache=cache)
        case "content":
            source.refuse("type", "Documents made of content blocks")
        case _:
            source.fail("type", "Input should be 'base64', 'text', 'url' or 'file'")
    return Media("document", media_type, data, name=name, cache=cache)


def _source(block: Fields) -> Fields:
    source = block.object("source")
    if source is None:
        block.fail("source", "Field required")
    return source


_READERS: Mapping[str, Callable[[Fields], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}

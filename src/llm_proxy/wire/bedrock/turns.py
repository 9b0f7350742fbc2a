"""Writes the conversation for Converse."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from typing import Any

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import (
    Media,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_proxy.wire.bedrock.caching import CachePoints
from llm_proxy.wire.bedrock.media import MediaWriter
from llm_proxy.wire.free_text import write_arguments

Block = dict[str, Any]

_SPEAKERS = ("user", "assistant")
_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_BASE64 = re.compile(
    r"(?=.)([a-z\d+/]{4})*([a-z\d+/]{2}==|[a-z\d+/]{3}=)?", re.A | re.I
)


# The API refuses a document that nobody says a word about.
_NO_WORDS = "(no text)"


class TurnWriter:
    """Writes the turns of one request.

    Args:
        cache: Writes wishes to cache.
        thinks: Whether the model takes its thoughts back; others refuse all thoughts.
    """

    def __init__(self, cache: CachePoints, *, thinks: bool) -> None:
        self._cache = cache
        self._thinks = thinks
        self._media = MediaWriter()

    def write_system(self, messages: Sequence[Message]) -> list[Block]:
        """Gather what system and developer say, wherever they say it.

        Args:
            messages: The conversation.

        Returns:
            System blocks.

        Raises:
            UnsupportedFeatureError: They do not only say text.
        """
        blocks: list[Block] = []
        for number, message in enumerate(messages):
            if message.role in _SPEAKERS:
                continue
            for place, part in enumerate(message.content):
                if not isinstance(part, Text):
                    field = f"messages.{number}.content.{place}"
                    raise UnsupportedFeatureError(
                        "Bedrock's Converse API takes only text as a system prompt",
                        details=[{"field": field, "problem": "it is not text"}],
                    )
                if part.text.strip():
                    blocks.append({"text": part.text})
                    blocks += self._cache.after_content(part.cache)
        return blocks

    def write_turns(self, messages: Sequence[Message]) -> list[Block]:
        """Write what user and assistant say, by turns.

        Args:
            messages: The conversation; neighbours of the same role become one turn, as
                the models of Anthropic demand, and turns that say nothing are left out.

        Returns:
            Messages.

        Raises:
            UnsupportedFeatureError: There is a medium that Converse does not take.
        """
        turns: list[tuple[Role, list[list[Block]]]] = []
        for number, message in enumerate(messages):
            if message.role not in _SPEAKERS:
                continue
            parts = list(self._write_parts(message, f"messages.{number}.content"))
            if turns and turns[-1][0] == message.role:
                turns[-1][1].extend(parts)
            elif parts:
                turns.append((message.role, parts))
        for _, parts in turns:
            parts.sort(key=_stands_behind_results)
            if _is_wordless_document(parts):
                parts.append([{"text": _NO_WORDS}])
        return [{"role": role, "content": list(chain(*parts))} for role, parts in turns]

    def _write_parts(self, message: Message, field: str) -> Iterator[list[Block]]:
        """Write parts, each with its cache point."""
        for place, part in enumerate(message.content):
            block = self._write_part(part, f"{field}.{place}")
            if block is not None:
                cache = None if isinstance(part, Thinking) else part.cache
                yield [block, *self._cache.after_content(cache)]

    def _write_part(self, part: Part, field: str) -> Block | None:
        match part:
            case Text():
                # Blanks alone are an error.
                return {"text": part.text} if part.text.strip() else None
            case Media():
                return self._media.write(part, field)
            case Thinking():
                return _write_thinking(part) if self._thinks else None
            case ToolCall():
                return _write_call(part)
            case ToolResult():
                return self._write_result(part, f"{field}.content")

    def _write_result(self, result: ToolResult, field: str) -> Block:
        content: list[Block] = []
        for place, part in enumerate(result.content):
            if isinstance(part, Text):
                content.append({"text": part.text})
            elif part.kind == "audio":
                raise UnsupportedFeatureError(
                    "Bedrock's Converse API takes no audio as the result of a tool",
                    details=[{"field": f"{field}.{place}", "problem": "it is audio"}],
                )
            else:
                content.append(self._media.write(part, f"{field}.{place}"))
        block: Block = {"toolUseId": write_id(result.call_id), "content": content}
        if result.is_error:
            # Only some models take the field, and success is the default.
            block["status"] = "error"
        return {"toolResult": block}


def tell_tools(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Tell in words which tools were called and what they returned.

    Converse refuses calls and results in requests that offer no tools.

    Args:
        messages: The conversation.

    Returns:
        The same without calls and results.
    """
    return tuple(
        [
            replace(
                message,
                content=tuple(
                    [said for part in message.content for said in _tell(part)]
                ),
            )
            for message in messages
        ]
    )


def write_id(call_id: str) -> str:
    """Write the id of a call so that Converse accepts it.

    Args:
        call_id: Any text.

    Returns:
        The id if it is fit, else a short name for it.
    """
    if _CALL_ID.fullmatch(call_id):
        return call_id
    return f"call_{sha256(call_id.encode()).hexdigest()[:32]}"


def _tell(part: Part) -> Sequence[Part]:
    if isinstance(part, ToolCall):
        return [Text(f"[Called the tool {part.name} with: {part.arguments}]\n")]
    if isinstance(part, ToolResult):
        verb = "failed" if part.is_error else "returned"
        return [Text(f"[The tool {verb}:]\n"), *part.content]
    return [part]


def _write_thinking(thinking: Thinking) -> Block | None:
    """Write thoughts if they are Bedrock's own; it refuses all others."""
    if thinking.origin:
        return None
    if thinking.signature and not thinking.encrypted:
        shown = {"text": thinking.text, "signature": thinking.signature}
        return {"reasoningContent": {"reasoningText": shown}}
    if _BASE64.fullmatch(thinking.encrypted) and not thinking.text:
        return {"reasoningContent": {"redactedContent": thinking.encrypted}}
    return None


def _write_call(call: ToolCall) -> Block:
    block = {
        "toolUseId": write_id(call.id),
        "name": call.name,
        "input": write_arguments(call.arguments, custom=call.custom),
    }
    return {"toolUse": block}


def _stands_behind_results(part: list[Block]) -> bool:
    return "toolResult" not in part[0]


def _is_wordless_document(parts: list[list[Block]]) -> bool:
    blocks = list(chain(*parts))
    return any("document" in block for block in blocks) and not any(
        "text" in block or "toolResult" in block for block in blocks
    )

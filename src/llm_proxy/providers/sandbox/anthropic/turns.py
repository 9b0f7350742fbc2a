"""Which block may stand where in a conversation with Anthropic's API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.anthropic.blocks import (
    Block,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    as_blocks,
    text_of,
)
from llm_proxy.providers.sandbox.conversation import ToolResult
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.thinking import REDACTED, sign


def _check_role(role: object) -> object:
    if role == "system":
        raise PydanticCustomError(
            "role",
            'Unexpected role "system". The Messages API accepts a top-level `system` '
            'parameter, not "system" as an input message role.',
        )
    return role


class Message(Strict):
    """One message; several of one role in a row are one turn."""

    role: Annotated[Literal["user", "assistant"], BeforeValidator(_check_role)]
    content: Annotated[list[Block], BeforeValidator(as_blocks)]


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything that one side says before the other one does.

    Attributes:
        role: The side.
        first: The index of its first message.
        blocks: What it says.
    """

    role: Literal["user", "assistant"]
    first: int
    blocks: tuple[Block, ...]


_ONLY_IN = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
    "image": "user",
    "document": "user",
}


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """Put messages of one role in a row together, as the vendor does.

    Args:
        messages: The messages.

    Returns:
        Turns of alternating roles.
    """
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        blocks = tuple(message.content)
        if turns and turns[-1].role == message.role:
            last = turns.pop()
            turns.append(Turn(last.role, last.first, last.blocks + blocks))
        else:
            turns.append(Turn(message.role, index, blocks))
    return turns


def check_messages(messages: Sequence[Message]) -> Problem | None:
    """Find what is wrong with messages that are well-formed.

    Args:
        messages: The messages.

    Returns:
        The first thing that the vendor would not take.
    """
    found = (
        _check_block(f"messages.{index}.content.{place}", message.role, block)
        for index, message in enumerate(messages)
        for place, block in enumerate(message.content)
    )
    return (
        next(filter(None, found), None)
        or _check_emptiness(messages)
        or _check_calls(turns_of(messages))
        or _check_prefill(messages[-1])
    )


def check_text(path: str, block: Block) -> Problem | None:
    """Find out whether a text block says something.

    Args:
        path: Where it is.
        block: Any block.

    Returns:
        A problem if it is a text block without words.
    """
    if not isinstance(block, TextBlock) or block.text.strip():
        return None
    if block.text:
        rule = "text content blocks must contain non-whitespace text"
    else:
        rule = "text content blocks must be non-empty"
    return Problem(400, f"{path.partition('.')[0]}: {rule}")


def results_in(turns: Sequence[Turn]) -> tuple[ToolResult, ...]:
    """Collect the results that are in the last turn.

    Args:
        turns: All turns.

    Returns:
        What came of the calls of the last answer.
    """
    calls = [b for turn in turns for b in turn.blocks if isinstance(b, ToolUseBlock)]
    names = {call.id: call.name for call in calls}
    return tuple(
        ToolResult(names[block.tool_use_id], text_of(block))
        for block in turns[-1].blocks
        if isinstance(block, ToolResultBlock)
    )


def _check_block(path: str, role: str, block: Block) -> Problem | None:
    only_role = _ONLY_IN.get(block.type, role)
    if role != only_role:
        rule = f"`{block.type}` blocks can only be in `{only_role}` messages"
        return Problem(400, f"{path}: {rule}")
    if isinstance(block, ThinkingBlock) and block.signature != sign(block.thinking):
        return Problem(400, f"{path}: Invalid `signature` in `thinking` block")
    if isinstance(block, RedactedThinkingBlock) and block.data != REDACTED:
        return Problem(400, f"{path}: Invalid `data` in `redacted_thinking` block")
    return check_text(path, block)


def _check_emptiness(messages: Sequence[Message]) -> Problem | None:
    for index, message in enumerate(messages):
        prefills = index == len(messages) - 1 and message.role == "assistant"
        if not message.content and not prefills:
            return Problem(
                400,
                f"messages.{index}: all messages must have non-empty content except "
                "for the optional final assistant message",
            )
    return None


def _check_calls(turns: Sequence[Turn]) -> Problem | None:
    """Demand results for the calls of the turn before, first of all and no others."""
    waiting: list[str] = []
    asking = 0
    for turn in turns:
        answered = [*_leading_results(turn)]
        missing = [id_ for id_ in waiting if id_ not in answered]
        if missing:
            return _unanswered(asking, missing)
        results = [b for b in turn.blocks if isinstance(b, ToolResultBlock)]
        unasked = [b.tool_use_id for b in results if b.tool_use_id not in waiting]
        if unasked:
            return Problem(
                400,
                f"messages.{turn.first}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {', '.join(unasked)}. Each `tool_result` block "
                "must have a corresponding `tool_use` block in the previous message.",
            )
        waiting = [b.id for b in turn.blocks if isinstance(b, ToolUseBlock)]
        asking = turn.first
    return _unanswered(asking, waiting) if waiting else None


def _leading_results(turn: Turn) -> Iterator[str]:
    for block in turn.blocks:
        if not isinstance(block, ToolResultBlock):
            return
        yield block.tool_use_id


def _unanswered(index: int, ids: Sequence[str]) -> Problem:
    return Problem(
        400,
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks "
        f"immediately after: {', '.join(ids)}. Each `tool_use` block must have a "
        "corresponding `tool_result` block in the next message.",
    )


def _check_prefill(last: Message) -> Problem | None:
    if last.role == "user" or not last.content:
        return None
    text = text_of(last.content[-1])
    if text == text.rstrip():
        return None
    return Problem(
        400, "messages: final assistant content cannot end with trailing whitespace"
    )

"""Which block may stand where in a conversation with Converse.

Source: the Amazon Bedrock API reference, "Message" and "ContentBlock", and errors of
the API.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from llm_proxy.providers.sandbox.bedrock.blocks import Block, ReasoningContent
from llm_proxy.providers.sandbox.bedrock.structure import Structure
from llm_proxy.providers.sandbox.conversation import ToolResult
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.thinking import REDACTED, sign

_ONLY_IN = {
    "tool_use": "assistant",
    "reasoning_content": "assistant",
    "tool_result": "user",
    "image": "user",
    "document": "user",
    "audio": "user",
    "video": "user",
    "guard_content": "user",
}


class Message(Structure):
    """What one side says."""

    role: Literal["user", "assistant"]
    content: list[Block]

    @property
    def said(self) -> str:
        """What is said in text, and not in results."""
        return " ".join(block.said for block in self.content if block.said)


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
        _check_roles(messages)
        or next(filter(None, found), None)
        or _check_documents(messages)
        or _check_calls(messages)
        or _check_prefill(messages[-1])
    )


def check_thoughts(messages: Sequence[Message]) -> Problem | None:
    """Refuse thoughts that the sandbox has not had.

    Args:
        messages: Messages that fit to each other.

    Returns:
        The first that it has not.
    """
    for index, message in enumerate(messages):
        for place, block in enumerate(message.content):
            if block.reasoning_content and not _is_own(block.reasoning_content):
                return Problem(
                    400,
                    "The model returned the following errors: "
                    f"messages.{index}.content.{place}: Invalid `signature` in "
                    "`thinking` block",
                )
    return None


def check_thoughts_before_calls(messages: Sequence[Message]) -> Problem | None:
    """Demand the thoughts behind an answer that goes on after results.

    Args:
        messages: Messages that fit to each other.

    Returns:
        A problem if the last answer does not begin with thoughts.
    """
    if not results_in(messages):
        return None
    first = messages[-2].content[0]
    if first.reasoning_content:
        return None
    return Problem(
        400,
        "The model returned the following errors: "
        f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or "
        "`redacted_thinking`, but found something else. When `thinking` is enabled, a "
        "final `assistant` message must start with a thinking block (preceeding the "
        "lastmost set of `tool_use` and `tool_result` blocks).",
    )


def uses_tools(messages: Sequence[Message]) -> bool:
    """Find out whether there are calls or results.

    Args:
        messages: The messages.

    Returns:
        Whether there are any.
    """
    blocks = [block for message in messages for block in message.content]
    return any(block.tool_use or block.tool_result for block in blocks)


def results_in(messages: Sequence[Message]) -> tuple[ToolResult, ...]:
    """Collect the results with which a conversation ends.

    Args:
        messages: Messages that fit to each other.

    Returns:
        What came of the calls of the last answer.
    """
    calls = [block.tool_use for message in messages for block in message.content]
    names = {call.tool_use_id: call.name for call in calls if call}
    results = [block.tool_result for block in messages[-1].content]
    return tuple(
        ToolResult(names[result.tool_use_id], result.said)
        for result in results
        if result
    )


def _check_roles(messages: Sequence[Message]) -> Problem | None:
    if not messages or messages[0].role != "user":
        return Problem(
            400,
            "A conversation must start with a user message. Try again with a "
            "conversation that starts with a user message.",
        )
    roles = [message.role for message in messages]
    if any(role == before for before, role in pairwise(roles)):
        return Problem(
            400,
            "A conversation must alternate between user and assistant roles. Make sure "
            "the conversation alternates between user and assistant roles and try "
            "again.",
        )
    for index, message in enumerate(messages):
        if not message.content:
            return Problem(
                400,
                f"The content field in the Message object at messages.{index} is "
                "empty. Add a ContentBlock object to the content field and try again.",
            )
    return None


def _check_block(path: str, role: str, block: Block) -> Problem | None:
    (kind,) = block.model_fields_set
    if _ONLY_IN.get(kind, role) != role:
        return Problem(
            400, f"The ContentBlock object at {path} cannot be in a message of {role}."
        )
    if block.text is not None and not block.text.strip():
        return Problem(
            400,
            f"The text field in the ContentBlock object at {path} is blank. Add text "
            "to the text field, and try again.",
        )
    if block.cache_point is not None and path.endswith(".content.0"):
        return Problem(400, f"The cachePoint at {path} has nothing before it.")
    return None


def _is_own(reasoning: ReasoningContent) -> bool:
    """Find out whether the sandbox has had these thoughts."""
    shown = reasoning.reasoning_text
    if shown is None:
        return reasoning.redacted_content == REDACTED
    return shown.signature == sign(shown.text)


def _check_documents(messages: Sequence[Message]) -> Problem | None:
    names: Counter[str] = Counter()
    for index, message in enumerate(messages):
        documents = [each.document for each in message.content if each.document]
        names.update(document.name for document in documents)
        if documents and not message.said:
            return Problem(
                400,
                f"The content field in the Message object at messages.{index} has a "
                "document and no text. Add a text block, and try again.",
            )
    if names and max(names.values()) > 1:
        return Problem(400, "Duplicate document names are not allowed.")
    return None


def _check_calls(messages: Sequence[Message]) -> Problem | None:
    """Demand results for the calls of the message before, first of all, no others."""
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        results = [block.tool_result for block in message.content if block.tool_result]
        answered = {result.tool_use_id for result in results}
        path = f"messages.{index}.content"
        if waiting - answered:
            return _unanswered(path, waiting - answered)
        if len(results) > len(waiting) or answered - waiting:
            return Problem(
                400,
                f"The number of toolResult blocks at {path} exceeds the number of "
                "toolUse blocks of previous turn.",
            )
        if not all(block.tool_result for block in message.content[: len(results)]):
            return Problem(400, f"toolResult blocks at {path} must come first.")
        calls = [block.tool_use for block in message.content]
        waiting = {call.tool_use_id for call in calls if call}
    return (
        _unanswered(f"messages.{len(messages)}.content", waiting) if waiting else None
    )


def _unanswered(path: str, ids: set[str]) -> Problem:
    return Problem(
        400,
        f"Expected toolResult blocks at {path} for the following Ids: "
        f"{', '.join(sorted(ids))}",
    )


def _check_prefill(last: Message) -> Problem | None:
    text = last.content[-1].text or ""
    if last.role == "user" or text == text.rstrip():
        return None
    return Problem(
        400,
        "The model returned the following errors: messages: final assistant content "
        "cannot end with trailing whitespace",
    )

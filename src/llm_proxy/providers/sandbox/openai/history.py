"""Which message may follow which in a chat with OpenAI's API."""

from collections.abc import Sequence

from llm_proxy.providers.sandbox.conversation import ToolResult
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.openai.messages import (
    AssistantMessage,
    Message,
    ToolMessage,
    text_of,
)


def check_history(messages: Sequence[Message]) -> Problem | None:
    """Find a message that does not fit to those before it.

    Args:
        messages: Messages that are well-formed each.

    Returns:
        An answer that says nothing, a call without a result or a result without a
        call; None if there is no such message.
    """
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                return _unasked(place)
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            return _unanswered(waiting)
        if isinstance(message, AssistantMessage):
            if _is_silent(message):
                return Problem(
                    400,
                    "Invalid value for 'content': expected a string, got null.",
                    param=f"messages.[{place}].content",
                )
            waiting = {call.id for call in message.tool_calls or ()}
    return _unanswered(waiting) if waiting else None


def results_of(messages: Sequence[Message]) -> tuple[ToolResult, ...]:
    """Collect the results with which a chat ends.

    Args:
        messages: Messages that fit to each other.

    Returns:
        What came of the calls of the last answer; none if something was said since.
    """
    names: dict[str, str] = {}
    results: list[ToolResult] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            name = names[message.tool_call_id]
            results.append(ToolResult(name, text_of(message)))
        else:
            results = []
        if isinstance(message, AssistantMessage):
            names = {call.id: call.tool for call in message.tool_calls or ()}
    return tuple(results)


def _is_silent(message: AssistantMessage) -> bool:
    said = (message.tool_calls, message.function_call, message.refusal, message.audio)
    return message.content is None and not any(said)


def _unasked(place: int) -> Problem:
    return Problem(
        400,
        "Invalid parameter: messages with role 'tool' must be a response to a "
        "preceeding message with 'tool_calls'.",
        param=f"messages.[{place}].role",
    )


def _unanswered(ids: set[str]) -> Problem:
    return Problem(
        400,
        "An assistant message with 'tool_calls' must be followed by tool messages "
        "responding to each 'tool_call_id'. The following tool_call_ids did not have "
        f"response messages: {', '.join(sorted(ids))}",
        param="messages",
    )

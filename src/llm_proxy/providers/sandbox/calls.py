"""Which tools a well-behaved sandbox calls, and with which arguments."""

import json
import re
from collections.abc import Sequence

from llm_proxy.providers.sandbox.conversation import Call, Question, Tool
from llm_proxy.providers.sandbox.dialect import cut_words
from llm_proxy.providers.sandbox.schema import example_of

_ASKING = {"tool", "tools", "call"}
_FALLBACK = Tool(
    "lookup",
    {
        "type": "object",
        "properties": {"query": {"const": "sandbox"}},
        "required": ["query"],
    },
)


def may_call(question: Question) -> bool:
    """Find out whether it is time for calls.

    Args:
        question: What was asked.

    Returns:
        Whether tools are offered and may be called, and no results came last.
    """
    allowed = question.tool_choice != "none" and not question.tool_results
    return allowed and bool(question.tools)


def wanted_tools(question: Question) -> Sequence[Tool]:
    """Choose the tools that a question asks to be called.

    Args:
        question: What was asked.

    Returns:
        Each tool that the text names; every tool, and a lone one twice, if it says
        ``parallel``; the first one if it says ``tool`` or ``call``, or if it is
        silent and a call is required. None if it is not time for calls.
    """
    if not may_call(question):
        return ()
    words = set(re.findall(r"[a-z]+", question.text.lower()))
    named = [tool for tool in question.tools if _names(question.text, tool)]
    if "parallel" in words and len(named) < 2:
        chosen = tools_in_turn(question, max(2, len(question.tools)))
    elif not named and (question.tool_choice == "required" or words & _ASKING):
        chosen = tools_in_turn(question, 1)
    else:
        chosen = named
    return chosen if question.parallel_calls else chosen[:1]


def tools_in_turn(question: Question, count: int) -> Sequence[Tool]:
    """Choose tools whether the question asks for a call or not.

    Args:
        question: What was asked.
        count: How many calls to make.

    Returns:
        As many tools, again from the first where there are fewer, and one named
        ``lookup`` where there is none.
    """
    tools = question.tools or (_FALLBACK,)
    return [tools[place % len(tools)] for place in range(count)]


def call_all(
    tools: Sequence[Tool], question: Question, request_id: str
) -> tuple[Call, ...]:
    """Call tools.

    Args:
        tools: Which ones, in order.
        question: Where words and numbers of the arguments come from.
        request_id: The beginning of the ids of the calls.

    Returns:
        One call for each.
    """
    return tuple(
        Call(
            id=f"{request_id}{place}",
            name=tool.name,
            pieces=cut_words(_arguments_of(tool, question.text)),
            custom=tool.schema is None,
            namespace=tool.namespace,
        )
        for place, tool in enumerate(tools)
    )


def _names(text: str, tool: Tool) -> bool:
    name = re.escape(tool.name)
    return re.search(rf"(?<![\w-]){name}(?![\w-])", text, re.IGNORECASE) is not None


def _arguments_of(tool: Tool, text: str) -> str:
    if tool.schema is None:
        return text or tool.name
    example = example_of({"type": "object", **tool.schema}, text)
    return json.dumps(example, ensure_ascii=False)

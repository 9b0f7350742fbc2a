"""What Anthropic's API can be told about an answer: its form and its thinking.

Source: the Anthropic API reference, "Create a message", ``output_config`` and
``thinking``, and the guide "Extended thinking".
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.anthropic.blocks import (
    RedactedThinkingBlock,
    ThinkingBlock,
    ToolResultBlock,
)
from llm_proxy.providers.sandbox.anthropic.schemas import check_schema
from llm_proxy.providers.sandbox.anthropic.turns import Turn
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.strict import Strict


class _JSONFormat(Strict):
    type: Literal["json_schema"]
    definition: dict[str, Any] = Field(alias="schema")


class OutputConfig(Strict):
    """How hard to try, and in which form to answer."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _JSONFormat | None = None
    task_budget: dict[str, Any] | None = None


class _Enabled(Strict):
    type: Literal["enabled"]
    budget_tokens: int = Field(ge=1024)
    display: Literal["summarized", "omitted", "updates"] | None = None
    block_binding: Any = None


class _Adaptive(Strict):
    type: Literal["adaptive"]
    display: Literal["summarized", "omitted", "updates"] | None = None
    block_binding: Any = None


class _Plain(Strict):
    type: Literal["disabled", "between_tools"]


Thinking = Annotated[_Enabled | _Adaptive | _Plain, Field(discriminator="type")]


def check_output(config: OutputConfig | None) -> Problem | None:
    """Find what is wrong with the form of an answer.

    Args:
        config: What is said about it.

    Returns:
        A problem if there is a schema, and it cannot be obeyed strictly.
    """
    if config is None or config.format is None:
        return None
    return check_schema(
        "output_config.format.schema", config.format.definition, strict=True
    )


def schema_of(config: OutputConfig | None) -> dict[str, Any] | None:
    """Find the JSON schema that an answer has to obey.

    Args:
        config: What is said about the form of the answer.

    Returns:
        The schema; None if the answer may be any text.
    """
    return config.format.definition if config and config.format else None


def check_thinking(
    thinking: Thinking,
    max_tokens: int,
    fixed: Mapping[str, bool],
    turns: Sequence[Turn],
) -> Problem | None:
    """Find what does not go together with thinking.

    Args:
        thinking: How to think.
        max_tokens: The most tokens of the answer, thinking included.
        fixed: Parameters of sampling, and whether they are set to what thinking does
            not allow.
        turns: The conversation.

    Returns:
        The first thing that does not.
    """
    if isinstance(thinking, _Enabled) and thinking.budget_tokens >= max_tokens:
        message = "`max_tokens` must be greater than `thinking.budget_tokens`."
        return Problem(400, message)
    rules = {
        "temperature": "may only be set to 1",
        "top_p": "must be greater than or equal to 0.95 or unset",
        "top_k": "must be unset",
    }
    for name, is_wrong in fixed.items():
        if is_wrong:
            return Problem(400, f"`{name}` {rules[name]} when thinking is enabled.")
    return _check_last_answer(turns) if isinstance(thinking, _Enabled) else None


def thinking_mode(
    thinking: Thinking | None, *, after_results: bool
) -> Literal["off", "on", "omitted"]:
    """Find out whether to think.

    Args:
        thinking: How to think.
        after_results: The conversation ends with results of tools.

    Returns:
        Whether to, and whether to tell.
    """
    if thinking is None or thinking.type == "disabled":
        return "off"
    if isinstance(thinking, _Plain):
        return "on" if after_results else "off"
    return "omitted" if thinking.display == "omitted" else "on"


def _check_last_answer(turns: Sequence[Turn]) -> Problem | None:
    """Demand the thoughts behind an answer that goes on: a prefill, or before results.

    With adaptive thinking, the model may not have had any.
    """
    last = turns[-1]
    if last.role == "user":
        if not any(isinstance(block, ToolResultBlock) for block in last.blocks):
            return None
        last = turns[-2]
    first = last.blocks[0] if last.blocks else None
    if first is None or isinstance(first, ThinkingBlock | RedactedThinkingBlock):
        return None
    return Problem(
        400,
        f"messages.{last.first}.content.0.type: Expected `thinking` or "
        f"`redacted_thinking`, but found `{first.type}`. When `thinking` is enabled, a "
        "final `assistant` message must start with a thinking block (preceeding the "
        "lastmost set of `tool_use` and `tool_result` blocks).",
    )

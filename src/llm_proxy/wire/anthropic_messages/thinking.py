"""How much to think: ``thinking`` and ``output_config.effort``.

Where a model takes a budget and the caller names an effort, and the other way round:

========= ======
effort    budget
========= ======
minimal     1024
low         2048
(none)      8192
medium      8192
high       16384
xhigh      24576
max        30720
========= ======

The largest leaves room for an answer within 32 thousand tokens, which is all that some
models write. Where the caller bounds the answer, half of that bound is thought at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_proxy.types import ChatRequest, Message, Reasoning, Thinking, ToolResult
from llm_proxy.wire.anthropic_messages.claude import Claude
from llm_proxy.wire.anthropic_messages.fields import Fields

_LEAST_BUDGET = 1024
_BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 30720,
}
_DEFAULT_EFFORT = "medium"
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ThinkingPlan:
    """What a request says about thinking.

    Attributes:
        thinking: The field ``thinking``; None leaves it out.
        effort: ``output_config.effort``; empty leaves it out.
        max_tokens: The field ``max_tokens``, which bounds thoughts and answer together.
        possible: Whether the caller's wish could be kept.
    """

    thinking: Mapping[str, Any] | None
    effort: str
    max_tokens: int
    possible: bool = True

    @property
    def active(self) -> bool:
        """Whether the model is asked to think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def plan_thinking(
    request: ChatRequest, claude: Claude, default_max_tokens: int
) -> ThinkingPlan:
    """Decide how to ask for what a request wants.

    Args:
        request: The request.
        claude: What the model takes.
        default_max_tokens: Tokens of the answer, where the caller names no bound.

    Returns:
        What to say. Thinking is given up where the API would refuse the rest of the
        request because of it: a forced tool, an answer that is begun already, or tool
        results of a turn that was not thought about.
    """
    bound = request.max_tokens
    silent = ThinkingPlan(None, "", bound or default_max_tokens)
    reasoning = request.reasoning
    if reasoning is None:
        return silent
    if reasoning.effort == "none":
        if claude.disabled:
            return ThinkingPlan({"type": "disabled"}, "", silent.max_tokens)
        return ThinkingPlan(None, "", silent.max_tokens, not claude.adaptive)
    by_budget = claude.budget and not (
        claude.adaptive and reasoning.budget_tokens is None
    )
    if not (claude.budget or claude.adaptive) or _excludes_thinking(request, by_budget):
        return ThinkingPlan(None, "", silent.max_tokens, possible=False)
    if by_budget:
        return _with_budget(reasoning, claude, bound, default_max_tokens)
    effort = _effort(reasoning, claude)
    room = _BUDGETS[effort or _DEFAULT_EFFORT]
    return ThinkingPlan(
        {"type": "adaptive"} | _display(reasoning),
        effort,
        bound or default_max_tokens + room,
    )


def read_thinking(fields: Fields) -> Reasoning | None:
    """Read how much a caller wants the model to think.

    Args:
        fields: The request.

    Returns:
        None if it does not say.

    Raises:
        InvalidInputError: A field is not what it should be.
    """
    config = fields.object("output_config")
    effort = config.optional_text("effort") if config else ""
    if config and effort and effort not in _EFFORTS:
        config.fail("effort", f"Input should be one of {', '.join(_EFFORTS)}")
    thinking = fields.object("thinking")
    if thinking is None:
        return Reasoning(effort) if effort else None
    display = {"summarized": True, "omitted": False}.get(
        thinking.optional_text("display")
    )
    match thinking.text("type"):
        case "enabled":
            budget = thinking.integer("budget_tokens", _LEAST_BUDGET)
            if budget is None:
                thinking.fail("budget_tokens", "Field required")
            return Reasoning(effort, budget, display)
        case "adaptive":
            return Reasoning(effort, visible=display)
        # Between tools the model tells how far it is; it does not think.
        case "disabled" | "between_tools":
            return Reasoning("none")
        case _:
            thinking.fail("type", "Input should be enabled, adaptive or disabled")


def _with_budget(
    reasoning: Reasoning, claude: Claude, bound: int | None, default: int
) -> ThinkingPlan:
    budget = reasoning.budget_tokens
    if budget is None:
        budget = _BUDGETS.get(reasoning.effort or _DEFAULT_EFFORT, _LEAST_BUDGET)
        if bound is not None:
            budget = min(budget, bound // 2)
    budget = max(budget, _LEAST_BUDGET)
    max_tokens = default + budget if bound is None else bound
    if max_tokens <= budget:
        max_tokens += budget
    return ThinkingPlan(
        {"type": "enabled", "budget_tokens": budget} | _display(reasoning),
        _effort(reasoning, claude) if claude.adaptive and reasoning.effort else "",
        max_tokens,
    )


def _effort(reasoning: Reasoning, claude: Claude) -> str:
    effort = reasoning.effort
    if not effort and reasoning.budget_tokens is not None:
        effort = _effort_of(reasoning.budget_tokens)
    if effort == "minimal":
        return "low"
    if effort == "xhigh" and not claude.xhigh:
        return "high"
    return effort if effort in _EFFORTS else ""


def _effort_of(budget: int) -> str:
    """Name the least effort whose budget is not below this one."""
    return next((e for e in _EFFORTS if _BUDGETS[e] >= budget), _EFFORTS[-1])


def _display(reasoning: Reasoning) -> dict[str, str]:
    if reasoning.visible is None:
        return {}
    return {"display": "summarized" if reasoning.visible else "omitted"}


def _excludes_thinking(request: ChatRequest, by_budget: bool) -> bool:
    choice = request.tool_choice
    if request.tools and choice and choice.mode in ("required", "named"):
        return True
    turns = [m for m in request.messages if m.role in ("user", "assistant")]
    if not turns:
        return False
    if turns[-1].role == "assistant":
        return True
    return by_budget and _answers_thoughtless_calls(turns)


def _answers_thoughtless_calls(turns: list[Message]) -> bool:
    if not any(isinstance(part, ToolResult) for part in turns[-1].content):
        return False
    calling = next((m for m in reversed(turns) if m.role == "assistant"), None)
    first = calling.content[0] if calling and calling.content else None
    return not (isinstance(first, Thinking) and (first.signature or first.encrypted))

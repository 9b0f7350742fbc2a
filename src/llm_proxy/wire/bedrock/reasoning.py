"""Writes how much a model should think, which vendors say in fields of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_proxy.types import ChatRequest
from llm_proxy.wire.anthropic_messages.claude import Claude
from llm_proxy.wire.anthropic_messages.thinking import plan_thinking

# OpenAI's open models know three efforts.
_EFFORTS: Mapping[str, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
# Unused: a model of Bedrock bounds its answers itself.
_NO_BOUND = 0


@dataclass(frozen=True, slots=True)
class ReasoningFields:
    """How much to think, in the words of a model.

    Attributes:
        max_tokens: The most tokens of thoughts and answer together.
        extras: Fields of the model.
        effort: The value of ``outputConfig.effort``; empty leaves it out.
        active: Whether it is a Claude and was asked to think.
        dropped: Whether the model cannot be told.
    """

    max_tokens: int | None
    extras: Mapping[str, Any] = field(default_factory=dict)
    effort: str = ""
    active: bool = False
    dropped: bool = False


def write_reasoning(model: str, family: str, request: ChatRequest) -> ReasoningFields:
    """Write how much to think.

    Args:
        model: Bedrock's name of the model.
        family: Whose model it is.
        request: What to ask.

    Returns:
        The fields.
    """
    reasoning, bound = request.reasoning, request.max_tokens
    if reasoning is None:
        return ReasoningFields(bound)
    if family == "anthropic":
        plan = plan_thinking(request, Claude.named(model), _NO_BOUND)
        return ReasoningFields(
            max_tokens=None if bound is None else plan.max_tokens,
            extras={} if plan.thinking is None else {"thinking": plan.thinking},
            effort=plan.effort,
            active=plan.active,
            dropped=not plan.possible,
        )
    if family == "openai" and reasoning.effort in _EFFORTS:
        return ReasoningFields(bound, {"reasoning_effort": _EFFORTS[reasoning.effort]})
    return ReasoningFields(bound, dropped=True)

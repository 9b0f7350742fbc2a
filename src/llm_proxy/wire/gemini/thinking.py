"""How much a Gemini model should think.

Gemini 3 takes a level and cannot be kept from thinking, Gemini 2.5 takes a budget of
tokens, and either may be given where the caller names the other:

======== ======= ======
effort   level   budget
======== ======= ======
none     minimal 0
minimal  minimal 1024
low      low     1024
medium   medium  8192
high     high    24576
xhigh    high    32768
max      high    32768
======== ======= ======

A model that lacks a level or a budget gets the nearest one that it has.

Source: the Gemini API's pages "OpenAI compatibility" (the table up to ``high``) and
"Gemini thinking" (levels and ranges of budgets per model).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_proxy.types import Reasoning
from llm_proxy.wire.gemini.models import is_gemini_3, model_name

_EFFORTS: Mapping[str, tuple[str, int]] = {
    "none": ("minimal", 0),
    "minimal": ("minimal", 1024),
    "low": ("low", 1024),
    "medium": ("medium", 8192),
    "high": ("high", 24576),
    "xhigh": ("high", 32768),
    "max": ("high", 32768),
}
# Tokens that are the most for a level, where a caller counts them.
_LEVELS = ((0, "minimal"), (1024, "low"), (8192, "medium"))
_MINIMAL_LEVEL = re.compile(r"gemini-3(\.[0-6])?-flash|gemini-.*flash-lite")
_NO_SETTING = re.compile(r"-(image|tts|live|native-audio)\b")


class _Budget(NamedTuple):
    """Bounds of a budget in tokens, and whether thinking can be switched off."""

    least: int
    most: int
    can_be_off: bool


_BUDGETS: Mapping[str, _Budget] = {
    "gemini-2.5-pro": _Budget(128, 32768, can_be_off=False),
    "gemini-2.5-flash-lite": _Budget(512, 24576, can_be_off=True),
    "gemini-2.5-flash": _Budget(1, 24576, can_be_off=True),
    "gemini-robotics-er-1.5": _Budget(1, 24576, can_be_off=True),
}


def write_thinking(model: str, reasoning: Reasoning) -> dict[str, Any] | None:
    """Write ``thinkingConfig``.

    Args:
        model: The upstream's name of the model.
        reasoning: How much to think.

    Returns:
        The object, empty if nothing has to be said; None if nothing can be said,
        because the model does not think or does not let itself be told.
    """
    name = model_name(model)
    if _NO_SETTING.search(name):
        return None
    if is_gemini_3(model):
        level = _level(name, reasoning)
        config: dict[str, Any] = {} if level is None else {"thinkingLevel": level}
    else:
        bounds = next((_BUDGETS[key] for key in _BUDGETS if name.startswith(key)), None)
        if bounds is None:
            return None
        budget = _budget(bounds, reasoning)
        config = {} if budget is None else {"thinkingBudget": budget}
    # Thoughts that are switched off must not be asked for.
    if reasoning.visible and config.get("thinkingBudget") != 0:
        config["includeThoughts"] = True
    return config


def _level(name: str, reasoning: Reasoning) -> str | None:
    level = None
    if reasoning.effort in _EFFORTS:
        level = _EFFORTS[reasoning.effort][0]
    elif reasoning.budget_tokens is not None:
        tokens = reasoning.budget_tokens
        level = next((word for most, word in _LEVELS if tokens <= most), "high")
    if level == "minimal" and not _MINIMAL_LEVEL.match(name):
        return "low"
    return level


def _budget(bounds: _Budget, reasoning: Reasoning) -> int | None:
    budget = reasoning.budget_tokens
    if budget is None:
        if reasoning.effort not in _EFFORTS:
            return None
        budget = _EFFORTS[reasoning.effort][1]
    if budget <= 0 and bounds.can_be_off:
        return 0
    return min(max(budget, bounds.least), bounds.most)

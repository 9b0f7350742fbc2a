"""What Converse passes on to models of Anthropic, and to no others.

Source: the Amazon Bedrock user guide, "Extended thinking" and "Prompt caching".
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from llm_proxy.providers.sandbox.anthropic.output import Thinking, thinking_mode
from llm_proxy.providers.sandbox.bedrock.inference import InferenceConfig
from llm_proxy.providers.sandbox.bedrock.turns import (
    Message,
    check_thoughts,
    check_thoughts_before_calls,
)
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.strict import Strict

_LEAST_TOP_P = 0.95


class ClaudeFields(Strict):
    """``additionalModelRequestFields``; those without effect may be anything."""

    thinking: Thinking | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    anthropic_beta: list[str] | None = None

    @property
    def thinks(self) -> bool:
        """Whether to think at all."""
        return self.thinking is not None and self.thinking.type != "disabled"

    @property
    def budget(self) -> int | None:
        """The most tokens of thoughts; None if the model itself decides."""
        return getattr(self.thinking, "budget_tokens", None)

    def thinking_mode(self, *, after_results: bool) -> Literal["off", "on", "omitted"]:
        """Find out whether to think now, and whether to tell.

        Args:
            after_results: The conversation ends with results of tools.

        Returns:
            Whether to, and whether to tell.
        """
        return thinking_mode(self.thinking, after_results=after_results)


def is_claude(model_id: str) -> bool:
    """Find out whether a model is one of Anthropic's.

    Args:
        model_id: Its id.

    Returns:
        Whether it is.
    """
    return "claude" in model_id


def read_claude_fields(fields: Mapping[str, Any]) -> ClaudeFields | Problem:
    """Read the fields as strictly as the model does.

    Args:
        fields: ``additionalModelRequestFields``.

    Returns:
        The fields, or the first mistake.
    """
    try:
        return ClaudeFields.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return _refused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def check_claude(
    fields: ClaudeFields,
    config: InferenceConfig,
    messages: Sequence[Message],
    *,
    forced: bool,
) -> Problem | None:
    """Find what such a model does not take.

    Args:
        fields: The fields of its own.
        config: How to choose words.
        messages: Messages that fit to each other.
        forced: Whether some tool has to be called.

    Returns:
        A blank stop sequence, forged thoughts, or what does not go together with
        thinking.
    """
    if not all(stop.strip() for stop in config.stop_sequences):
        return _refused("stop_sequences: each one must contain non-whitespace")
    problem = check_thoughts(messages)
    if problem is not None or not fields.thinks:
        return problem
    if forced:
        return _refused("Thinking may not be enabled when tool_choice forces tool use.")
    if config.temperature not in (None, 1):
        return _refused("`temperature` may only be set to 1 when thinking is enabled.")
    if config.top_p is not None and config.top_p < _LEAST_TOP_P:
        return _refused("`top_p` must be at least 0.95 or unset when thinking.")
    if fields.top_k is not None:
        return _refused("`top_k` must be unset when thinking is enabled.")
    if fields.budget is None:
        return None
    if config.max_tokens is not None and fields.budget >= config.max_tokens:
        return _refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return check_thoughts_before_calls(messages)


def _refused(why: str) -> Problem:
    return Problem(400, f"The model returned the following errors: {why}")

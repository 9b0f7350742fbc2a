"""Writes the tuning knobs of a request."""

from collections.abc import Iterator
from typing import Any

from llm_proxy.types import ChatRequest, Media
from llm_proxy.wire.anthropic_messages.claude import Claude
from llm_proxy.wire.bedrock.reasoning import ReasoningFields

# All that a Claude takes while it thinks.
_LEAST_TOP_P_WITH_THOUGHTS = 0.95
_NEVER_TAKEN = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "user",
    "verbosity",
)
_SERVICE_TIERS = ("flex", "priority", "reserved")
_DEFAULT_TIERS = ("", "auto", "default")


def add_sampling(
    body: dict[str, Any],
    model: str,
    family: str,
    request: ChatRequest,
    reasoning: ReasoningFields,
) -> list[str]:
    """Add the knobs that the model has.

    Args:
        body: The request's body.
        model: Bedrock's name of the model.
        family: Whose model it is.
        request: What to ask.
        reasoning: How much the model will think.

    Returns:
        The names of those that it does not have.
    """
    taken, dropped = _taken(model, family, request, reasoning)
    inference: dict[str, Any] = {}
    if reasoning.max_tokens is not None:
        inference["maxTokens"] = reasoning.max_tokens
    if "temperature" in taken:
        # The API takes 0 to 1 where callers may say up to 2.
        inference["temperature"] = min(taken["temperature"], 1.0)
    if "top_p" in taken:
        inference["topP"] = taken["top_p"]
    if request.stop:
        inference["stopSequences"] = request.stop
        if family == "anthropic":
            # Which of them it was, only the vendor says.
            body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if inference:
        body["inferenceConfig"] = inference
    extras = dict(reasoning.extras)
    if "top_k" in taken:
        extras |= _write_top_k(family, taken["top_k"])
    if extras:
        body["additionalModelRequestFields"] = extras
    if request.service_tier in _SERVICE_TIERS:
        body["serviceTier"] = {"type": request.service_tier}
    return [*dropped, *_unsaid(request, reasoning)]


def _taken(
    model: str, family: str, request: ChatRequest, reasoning: ReasoningFields
) -> tuple[dict[str, float], list[str]]:
    """Sort the knobs of sampling into those that the model takes and the others."""
    wanted = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
    }
    values = {name: value for name, value in wanted.items() if value is not None}
    takes = set(wanted)
    if family == "anthropic":
        if not Claude.named(model).sampling:
            takes = set()
        elif reasoning.active:
            top_p = values.get("top_p", 0)
            takes = {"top_p"} if top_p >= _LEAST_TOP_P_WITH_THOUGHTS else set()
    elif family != "amazon":
        takes.remove("top_k")
    dropped = [name for name in values if name not in takes]
    return {name: values[name] for name in values if name in takes}, dropped


def _write_top_k(family: str, top_k: float) -> dict[str, Any]:
    if family == "amazon":
        return {"inferenceConfig": {"topK": top_k}}
    return {"top_k": top_k}


def _unsaid(request: ChatRequest, reasoning: ReasoningFields) -> Iterator[str]:
    for name in _NEVER_TAKEN:
        if getattr(request, name) not in (None, ""):
            yield name
    if request.parallel_tool_calls is False:
        yield "parallel_tool_calls"
    if request.service_tier not in (*_SERVICE_TIERS, *_DEFAULT_TIERS):
        yield "service_tier"
    if reasoning.dropped:
        yield "reasoning"
    if any(message.name for message in request.messages):
        yield "name"
    parts = [part for message in request.messages for part in message.content]
    if any(isinstance(part, Media) and part.detail for part in parts):
        yield "detail"

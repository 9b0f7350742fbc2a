"""Reads a caller's request.

Source: the OpenAI API reference, "Create completion (legacy)".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import ChatRequest, said
from llm_proxy.wire.openai_chat.fields import (
    take_flag,
    take_integer,
    take_optional_text,
    unsupported,
    wrong,
)
from llm_proxy.wire.openai_chat.request_reader import (
    MAX_TOKENS,
    check_delivery,
    read_sampling,
    unknown_names,
)

# The reference's default; it is meant.
_DEFAULT_MAX_TOKENS = 16
_KNOWN = frozenset(
    (
        "model",
        "prompt",
        "suffix",
        "echo",
        "n",
        "best_of",
        "stream",
        "stream_options",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "user",
    )
)


def check_request(fields: Mapping[str, Any]) -> None:
    """Refuse what no upstream could answer.

    Args:
        fields: The caller's JSON.

    Raises:
        InvalidInputError: There is no prompt, or the way to answer is unclear.
    """
    prompt = fields.get("prompt")
    if prompt is None:
        raise wrong("prompt", "is required")
    if not isinstance(prompt, str | list) or prompt == []:
        raise wrong("prompt", "must be a string or an array that is not empty")
    check_delivery(fields)


def read_request(fields: Mapping[str, Any]) -> ChatRequest:
    """Read a request in its canonical form, as one turn of the user.

    Args:
        fields: The caller's JSON.

    Returns:
        The request.

    Raises:
        InvalidInputError: A field is not what the reference says.
        UnsupportedFeatureError: It asks for what chat APIs cannot do.
    """
    check_request(fields)
    _refuse_features(fields)
    get = fields.get
    bound = take_integer(get("max_tokens"), "max_tokens", 0, MAX_TOKENS)
    return ChatRequest(
        messages=(said("user", _read_prompt(fields["prompt"])),),
        max_tokens=_DEFAULT_MAX_TOKENS if bound is None else max(bound, 1),
        logprobs=take_integer(get("logprobs"), "logprobs", 0, 5),
        user=take_optional_text(get("user"), "user"),
        unknown=unknown_names(fields, _KNOWN),
        **read_sampling(fields),
    )


def _read_prompt(prompt: str | list[object]) -> str:
    first = prompt if isinstance(prompt, str) else prompt[0]
    if not isinstance(first, str):
        raise unsupported("prompt", "prompts of token ids")
    if isinstance(prompt, list) and len(prompt) > 1:
        raise unsupported("prompt", "several prompts")
    return first


def _refuse_features(fields: Mapping[str, Any]) -> None:
    for name in ("n", "best_of"):
        if (take_integer(fields.get(name), name, 1, 128) or 1) > 1:
            raise unsupported(name, "several choices")
    if take_flag(fields.get("echo"), "echo"):
        raise unsupported("echo", "answers that repeat the prompt")
    if take_optional_text(fields.get("suffix"), "suffix"):
        raise unsupported("suffix", "texts that come after the answer")

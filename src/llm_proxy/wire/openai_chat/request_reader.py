"""Reads a caller's request.

Source: the OpenAI API reference, "Create chat completion".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.types import ChatRequest, Reasoning, ResponseFormat
from llm_proxy.wire.openai_chat.fields import (
    take_flag,
    take_integer,
    take_list,
    take_number,
    take_object,
    take_one_of,
    take_optional_text,
    take_text,
    unsupported,
    wrong,
)
from llm_proxy.wire.openai_chat.message_reader import read_messages
from llm_proxy.wire.openai_chat.tools import read_tool_choice, read_tools

MAX_TOKENS = 2**31 - 1
_MAX_SEED = 2**63 - 1
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_KNOWN = frozenset(
    (
        "model",
        "messages",
        "stream",
        "stream_options",
        "n",
        "modalities",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "user",
        "safety_identifier",
        "service_tier",
        "verbosity",
    )
)


def check_request(fields: Mapping[str, Any]) -> None:
    """Refuse what no upstream could answer.

    Args:
        fields: The caller's JSON.

    Raises:
        InvalidInputError: There are no messages, or the way to answer is unclear.
    """
    messages = fields.get("messages")
    if messages is None:
        raise wrong("messages", "is required")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "must be an array with at least one message")
    for index, message in enumerate(messages):
        take_object(message, f"messages.{index}")
    check_delivery(fields)


def check_delivery(fields: Mapping[str, Any]) -> None:
    """Refuse a request that leaves unclear how to answer.

    Args:
        fields: The caller's JSON.

    Raises:
        InvalidInputError: ``stream``, ``stream_options`` or ``n`` is not sound.
    """
    take_flag(fields.get("stream"), "stream")
    take_integer(fields.get("n"), "n", 1, 128)
    options = fields.get("stream_options")
    if options is not None:
        usage = take_object(options, "stream_options").get("include_usage")
        take_flag(usage, "stream_options.include_usage")


def read_request(fields: Mapping[str, Any]) -> ChatRequest:
    """Read a request in its canonical form.

    Args:
        fields: The caller's JSON.

    Returns:
        The request.

    Raises:
        InvalidInputError: A field is not what the reference says.
        UnsupportedFeatureError: It asks for what only the vendor itself can do.
    """
    check_request(fields)
    _refuse_features(fields)
    get = fields.get
    return ChatRequest(
        messages=read_messages(get("messages")),
        tools=read_tools(fields),
        tool_choice=read_tool_choice(fields),
        parallel_tool_calls=take_flag(
            get("parallel_tool_calls"), "parallel_tool_calls"
        ),
        response_format=_read_format(get("response_format")),
        reasoning=_read_reasoning(get("reasoning_effort")),
        max_tokens=_read_max_tokens(fields),
        top_k=take_integer(get("top_k"), "top_k", -1, MAX_TOKENS),
        logprobs=_read_logprobs(fields),
        user=take_optional_text(get("safety_identifier"), "safety_identifier")
        or take_optional_text(get("user"), "user"),
        service_tier=take_optional_text(get("service_tier"), "service_tier"),
        verbosity=take_optional_text(get("verbosity"), "verbosity"),
        unknown=unknown_names(fields, _KNOWN),
        **read_sampling(fields),
    )


def read_sampling(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read the tuning knobs that chat and older completions share.

    Args:
        fields: The caller's JSON.

    Returns:
        Arguments for `ChatRequest`.

    Raises:
        InvalidInputError: One is out of its bounds.
    """
    get = fields.get
    return {
        "temperature": take_number(get("temperature"), "temperature", 0, 2),
        "top_p": take_number(get("top_p"), "top_p", 0, 1),
        "stop": _read_stop(get("stop")),
        "seed": take_integer(get("seed"), "seed", -_MAX_SEED - 1, _MAX_SEED),
        "frequency_penalty": take_number(
            get("frequency_penalty"), "frequency_penalty", -2, 2
        ),
        "presence_penalty": take_number(
            get("presence_penalty"), "presence_penalty", -2, 2
        ),
        "logit_bias": _read_logit_bias(get("logit_bias")),
    }


def unknown_names(fields: Mapping[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """Name the fields that only the caller's dialect knows.

    Args:
        fields: The caller's JSON.
        known: Names that have been read.

    Returns:
        The other names of which the value is not null, sorted.
    """
    if fields.keys() <= known:
        return ()
    return tuple(
        sorted(name for name in fields.keys() - known if fields[name] is not None)
    )


def _refuse_features(fields: Mapping[str, Any]) -> None:
    if (fields.get("n") or 1) > 1:
        raise unsupported("n", "several choices")
    if fields.get("web_search_options") is not None:
        raise unsupported("web_search_options", "web search")
    modalities = fields.get("modalities")
    if modalities is not None and take_list(modalities, "modalities") != ["text"]:
        raise unsupported("modalities", "answers that are not text")


def _read_stop(stop: object) -> tuple[str, ...]:
    if stop is None:
        return ()
    if isinstance(stop, str):
        return (stop,)
    if not isinstance(stop, list):
        raise wrong("stop", "must be a string or an array of strings")
    return tuple([take_text(text, f"stop.{index}") for index, text in enumerate(stop)])


def _read_logit_bias(bias: object) -> dict[str, float] | None:
    if bias is None:
        return None
    read = {}
    for token, value in take_object(bias, "logit_bias").items():
        number = take_number(value, "logit_bias", -100, 100)
        if number is None:
            raise wrong("logit_bias", "must map token ids to numbers")
        read[token] = number
    return read


def _read_logprobs(fields: Mapping[str, Any]) -> int | None:
    wanted = take_flag(fields.get("logprobs"), "logprobs")
    count = take_integer(fields.get("top_logprobs"), "top_logprobs", 0, 20)
    if wanted:
        return count or 0
    if count is not None:
        raise wrong("top_logprobs", "needs logprobs to be true")
    return None


def _read_max_tokens(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        count = take_integer(fields.get(name), name, 1, MAX_TOKENS)
        if count is not None:
            return count
    return None


def _read_reasoning(effort: object) -> Reasoning | None:
    if effort is None:
        return None
    return Reasoning(take_one_of(effort, "reasoning_effort", _EFFORTS))


def _read_format(form: object) -> ResponseFormat | None:
    if form is None:
        return None
    form = take_object(form, "response_format")
    kinds = ("text", "json_object", "json_schema")
    match take_one_of(form.get("type"), "response_format.type", kinds):
        case "text":
            return None
        case "json_object":
            return ResponseFormat()
    field = "response_format.json_schema"
    inner = take_object(form.get("json_schema"), field)
    schema = inner.get("schema")
    return ResponseFormat(
        schema={} if schema is None else take_object(schema, f"{field}.schema"),
        name=take_text(inner.get("name"), f"{field}.name"),
        description=take_optional_text(
            inner.get("description"), f"{field}.description"
        ),
        strict=take_flag(inner.get("strict"), f"{field}.strict"),
    )

"""The body of a request for a chat completion.

Source: the OpenAI API reference, "Create chat completion".
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from llm_proxy.providers.sandbox.conversation import Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.openai.history import check_history, results_of
from llm_proxy.providers.sandbox.openai.messages import (
    Message,
    attachments_of,
    text_of,
)
from llm_proxy.providers.sandbox.openai.mistakes import problem_of
from llm_proxy.providers.sandbox.openai.response_format import (
    ResponseFormat,
    check_format,
    schema_of,
)
from llm_proxy.providers.sandbox.openai.tools import (
    ToolChoice,
    ToolDefinition,
    check_tools,
    choose,
)
from llm_proxy.providers.sandbox.strict import Strict

# Servers that others write for open models know more parameters than the vendor.
_LENIENT_MODELS = ("lenient", "reasoning")


class _StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = True


def _as_list(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


_Penalty = Annotated[float, Field(ge=-2, le=2)] | None
_Tokens = Annotated[int, Field(ge=1)] | None


class Body(Strict):
    """All parameters that the vendor knows; those without effect may be anything."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Tokens = None
    max_completion_tokens: _Tokens = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: (
        Annotated[
            list[Annotated[str, Field(min_length=1)]],
            Field(max_length=4),
            BeforeValidator(_as_list),
        ]
        | None
    ) = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: _Penalty = None
    presence_penalty: _Penalty = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, int] | None = None
    response_format: ResponseFormat | None = None
    tools: (
        Annotated[list[ToolDefinition], Field(min_length=1, max_length=128)] | None
    ) = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: (
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    ) = None
    verbosity: Literal["low", "medium", "high"] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: Any = None
    prediction: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    service_tier: (
        Literal["auto", "default", "flex", "scale", "priority", "fast"] | None
    ) = None
    store: bool | None = None
    web_search_options: Any = None


class _Named(BaseModel):
    model: str


def read_request(body: bytes) -> Question | Problem:
    """Read a request as strictly as the vendor does.

    Args:
        body: The bytes.

    Returns:
        What is asked, or the first mistake.
    """
    try:
        request = Body.model_validate_json(body)
    except ValidationError as error:
        lenient = _read_leniently(body)
        if lenient is None:
            return problem_of(error)
        request = lenient
    problem = _check(request)
    return problem or _question_of(request, body)


def _read_leniently(body: bytes) -> Body | None:
    """Read a request to a lenient model without its unknown parameters."""
    try:
        if _Named.model_validate_json(body).model not in _LENIENT_MODELS:
            return None
        return Body.model_validate_json(body, extra="ignore")
    except ValidationError:
        return None


def _check(request: Body) -> Problem | None:
    """Find what is wrong with a request whose parameters are all well-formed."""
    return (
        _check_combinations(request)
        or check_tools(request.tools, request.tool_choice)
        or check_format(request.response_format, request.messages)
        or check_history(request.messages)
    )


def _check_combinations(request: Body) -> Problem | None:
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        return Problem(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
            "supported.",
            code="invalid_parameter_combination",
            param="max_tokens",
        )
    needs = {
        "stream_options": ("stream", "enabled", request.stream),
        "top_logprobs": ("logprobs", "enabled", request.logprobs),
        "parallel_tool_calls": ("tools", "specified", request.tools),
    }
    for name, (needed, how, given) in needs.items():
        if getattr(request, name) is not None and not given:
            message = (
                f"The '{name}' parameter is only allowed when '{needed}' is {how}."
            )
            return Problem(400, message, param=name)
    return None


def _question_of(request: Body, body: bytes) -> Question:
    options = request.stream_options
    texts = [text_of(message) for message in request.messages]
    asked = [message for message in request.messages if message.role == "user"]
    tools, tool_choice = choose(request.tools, request.tool_choice)
    return Question(
        model=request.model,
        text=text_of(asked[-1]) if asked else texts[-1],
        input_tokens=count_words(*texts),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stream=bool(request.stream),
        include_usage=options is not None and options.include_usage,
        schema=schema_of(request.response_format),
        body=body.decode(),
        tools=tools,
        tool_choice=tool_choice,
        parallel_calls=request.parallel_tool_calls is not False,
        tool_results=results_of(request.messages),
        attachments=attachments_of(asked[-1]) if asked else (),
        thinking="off" if request.reasoning_effort in (None, "none") else "on",
        stop=tuple(request.stop or ()),
        copies=request.n or 1,
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )

"""The body of a request to Converse.

Source: the Amazon Bedrock API reference, "Converse" and "ConverseStream".
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from llm_proxy.providers.sandbox.bedrock.blocks import (
    SystemBlock,
    words_of,
)
from llm_proxy.providers.sandbox.bedrock.claude import (
    ClaudeFields,
    check_claude,
    is_claude,
    read_claude_fields,
)
from llm_proxy.providers.sandbox.bedrock.inference import (
    GuardrailConfig,
    InferenceConfig,
    OutputConfig,
    check_output,
)
from llm_proxy.providers.sandbox.bedrock.mistakes import problem_of
from llm_proxy.providers.sandbox.bedrock.structure import Structure
from llm_proxy.providers.sandbox.bedrock.tools import ToolConfig, check_tools, choose
from llm_proxy.providers.sandbox.bedrock.turns import (
    Message,
    check_messages,
    results_in,
    uses_tools,
)
from llm_proxy.providers.sandbox.conversation import Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words

_MOST_CACHE_POINTS = 4


class _Type(Structure):
    type: Literal["priority", "default", "flex", "reserved"]


class Body(Structure):
    """All parameters that the vendor knows; those without effect may be anything."""

    messages: list[Message] = Field(default_factory=list)
    system: list[SystemBlock] = Field(default_factory=list)
    inference_config: InferenceConfig = Field(default_factory=InferenceConfig)
    tool_config: ToolConfig | None = None
    output_config: OutputConfig = Field(default_factory=OutputConfig)
    guardrail_config: GuardrailConfig | None = None
    additional_model_request_fields: dict[str, Any] = Field(default_factory=dict)
    additional_model_response_field_paths: list[
        Annotated[str, Field(pattern="^/", max_length=256)]
    ] = Field(default_factory=list, max_length=10)
    performance_config: dict[str, Any] | None = None
    prompt_variables: dict[str, Any] | None = None
    request_metadata: dict[str, str] | None = None
    service_tier: _Type | None = None

    @property
    def words(self) -> Iterator[tuple[str, bool]]:
        """The words of every block in order, and whether it is a cache point."""
        for block in self.system:
            yield words_of(block), block.cache_point is not None
        for message in self.messages:
            for each in message.content:
                yield words_of(each), each.cache_point is not None


def read_body(body: bytes, *, lenient: bool) -> Body | Problem:
    """Read a body whose parameters are all well-formed.

    Args:
        body: The bytes.
        lenient: Let unknown parameters pass.

    Returns:
        The body, or the first mistake.
    """
    try:
        extra: Any = "ignore" if lenient else None
        return Body.model_validate_json(body, extra=extra)
    except ValidationError as error:
        return problem_of(error)


def read_question(
    request: Body, body: bytes, model: str, *, stream: bool
) -> Question | Problem:
    """Find out what a request asks, as strictly as the vendor does.

    Args:
        request: The body.
        body: Its bytes.
        model: The id of the model in the path.
        stream: Whether the path asks for a stream.

    Returns:
        What is asked, or the first thing that the vendor would not take.
    """
    problem = (
        check_messages(request.messages)
        or _check_tool_config(request)
        or check_output(request.output_config)
        or _check_cache_points(request, model)
    )
    fields = problem or _read_fields(request, model)
    if isinstance(fields, Problem):
        return fields
    return _question_of(request, fields, body, model, stream)


def _check_tool_config(request: Body) -> Problem | None:
    if request.tool_config is None and uses_tools(request.messages):
        return Problem(
            400,
            "The toolConfig field must be defined when using toolUse and toolResult "
            "content blocks.",
        )
    return check_tools(request.tool_config)


def _check_cache_points(request: Body, model: str) -> Problem | None:
    found = sum(is_point for _, is_point in request.words)
    in_tools = request.tool_config.cache_points if request.tool_config else 0
    if not (found or in_tools):
        return None
    if not (is_claude(model) or ("nova" in model and not in_tools)):
        return Problem(
            403,
            "You invoked an unsupported model or your request did not allow prompt "
            "caching. See the documentation for more information.",
        )
    if found + in_tools > _MOST_CACHE_POINTS:
        return Problem(
            400,
            f"A maximum of {_MOST_CACHE_POINTS} cachePoint blocks may be provided. "
            f"Found {found + in_tools}.",
        )
    return None


def _read_fields(request: Body, model: str) -> ClaudeFields | Problem:
    """Read what is for one vendor's models; others take anything and do nothing."""
    if not is_claude(model):
        blocks = [block for message in request.messages for block in message.content]
        if any(block.reasoning_content for block in blocks):
            message = "This model doesn't support the reasoningContent field."
            return Problem(400, f"{message} Remove reasoningContent and try again.")
        return ClaudeFields()
    fields = read_claude_fields(request.additional_model_request_fields)
    if isinstance(fields, Problem):
        return fields
    forced = request.tool_config is not None and request.tool_config.forces_call
    config = request.inference_config
    problem = check_claude(fields, config, request.messages, forced=forced)
    return problem or fields


def _question_of(
    request: Body, fields: ClaudeFields, body: bytes, model: str, stream: bool
) -> Question:
    config, messages = request.inference_config, request.messages
    asked = [message for message in messages if message.role == "user"]
    tools, tool_choice = choose(request.tool_config)
    results = results_in(messages)
    return Question(
        model=model,
        text=next((each.said for each in reversed(asked) if each.said), ""),
        input_tokens=count_words(*(words for words, _ in request.words)),
        max_tokens=config.max_tokens,
        stream=stream,
        schema=request.output_config.schema_to_obey,
        body=body.decode(),
        tools=tools,
        tool_choice=tool_choice,
        tool_results=results,
        attachments=tuple(
            found for block in asked[-1].content for found in block.attachments
        ),
        thinking=fields.thinking_mode(after_results=bool(results)),
        stop=tuple(config.stop_sequences),
        prefill=messages[-1].said if messages[-1].role == "assistant" else "",
        cached_tokens=_cached_words(request),
    )


def _cached_words(request: Body) -> int:
    """Count the words up to the last cache point."""
    cached = total = 0
    for words, is_point in request.words:
        total += count_words(words)
        cached = total if is_point else cached
    return cached

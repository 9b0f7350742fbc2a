"""The body of a request to generate content.

Source: the Gemini API reference, "GenerateContentRequest".
"""

from typing import Any, Literal

from pydantic import Field, ValidationError

from llm_proxy.providers.sandbox.conversation import Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.gemini.contents import (
    Content,
    attachments_in,
    words_of,
)
from llm_proxy.providers.sandbox.gemini.generation_config import (
    GenerationConfig,
    check_config,
    thinking_mode,
)
from llm_proxy.providers.sandbox.gemini.json_form import JSONForm
from llm_proxy.providers.sandbox.gemini.mistakes import invalid, problem_of
from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.tools import (
    ToolConfig,
    ToolSet,
    check_tools,
    choose,
)
from llm_proxy.providers.sandbox.gemini.turns import (
    check_contents,
    check_parts,
    results_in,
)


class Body(JSONForm):
    """All parameters that the vendor knows; those without effect may be anything."""

    contents: list[Content] = Field(default_factory=list)
    system_instruction: Content | None = None
    tools: list[ToolSet] = Field(default_factory=list)
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig = Field(default_factory=GenerationConfig)
    cached_content: str | None = None
    safety_settings: list[dict[str, Any]] | None = None
    service_tier: Literal["unspecified", "standard", "flex", "priority"] | None = None
    store: bool | None = None


def read_request(
    body: bytes, model: ModelID, *, stream: bool, lenient: bool
) -> Question | Problem:
    """Read a request as strictly as the vendor does.

    Args:
        body: The bytes.
        model: The model in the path.
        stream: Whether the path asks for a stream.
        lenient: Let unknown parameters pass.

    Returns:
        What is asked, or the first mistake.
    """
    try:
        extra: Any = "ignore" if lenient else None
        request = Body.model_validate_json(body, extra=extra)
    except ValidationError as error:
        return problem_of(error)
    return _check(request, model) or _question_of(request, body, model, stream)


def _check(request: Body, model: ModelID) -> Problem | None:
    """Find what is wrong with a request whose parameters are all well-formed."""
    return (
        check_contents(request.contents, model)
        or _check_system(request.system_instruction)
        or check_tools(request.tools, request.tool_config)
        or check_config(request.generation_config, model)
        or _check_combinations(request, model)
    )


def _check_system(system: Content | None) -> Problem | None:
    if system is None:
        return None
    if any(part.text is None for part in system.parts):
        return invalid("system_instruction.parts", "only text is supported.")
    return check_parts(system, "system_instruction")


def _check_combinations(request: Body, model: ModelID) -> Problem | None:
    if request.cached_content is not None:
        return Problem(403, "CachedContent not found (or permission denied)")
    if request.tools and request.generation_config.wants_json and not model.is_gemini_3:
        return Problem(
            400,
            "Function calling with a response mime type: 'application/json' is "
            "unsupported",
        )
    return None


def _question_of(request: Body, body: bytes, model: ModelID, stream: bool) -> Question:
    config, contents = request.generation_config, request.contents
    asked = [content for content in contents if not content.by_model]
    system = [request.system_instruction] if request.system_instruction else []
    tools, tool_choice = choose(request.tools, request.tool_config)
    return Question(
        model=model.text,
        text=next((each.said for each in reversed(asked) if each.said), ""),
        input_tokens=count_words(*map(words_of, [*system, *contents])),
        max_tokens=config.max_output_tokens,
        stream=stream,
        schema=config.schema_to_obey,
        body=body.decode(),
        tools=tools,
        tool_choice=tool_choice,
        tool_results=results_in(contents),
        attachments=attachments_in(asked[-1]) if asked else (),
        thinking=thinking_mode(config.thinking_config),
        stop=tuple(config.stop_sequences),
        prefill=contents[-1].said if contents[-1].by_model else "",
        copies=config.candidate_count,
        top_logprobs=(config.logprobs or 0) if config.response_logprobs else None,
    )

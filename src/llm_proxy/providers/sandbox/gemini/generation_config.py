"""What the Gemini API can be told about an answer.

Source: the Gemini API reference, "GenerationConfig" and "ThinkingConfig", and the page
"Gemini thinking".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.gemini.json_form import Int32, JSONForm
from llm_proxy.providers.sandbox.gemini.mistakes import invalid
from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.schemas import is_schema, read_schema

_ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}
_MOST_STOPS = 5
_MEDIA_TYPES = (
    "application/json",
    "application/xml",
    "application/yaml",
    "text/plain",
    "text/x.enum",
)


class ThinkingConfig(JSONForm):
    """How much to think, and whether to tell."""

    include_thoughts: bool = False
    thinking_budget: Annotated[Int32, Field(ge=-1, le=32768)] | None = None
    thinking_level: (
        Literal["minimal", "low", "medium", "high", "MINIMAL", "LOW", "MEDIUM", "HIGH"]
        | None
    ) = None


class GenerationConfig(JSONForm):
    """All parameters that the vendor knows; those without effect may be anything."""

    stop_sequences: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list
    )
    response_mime_type: str = "text/plain"
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: list[str] | None = None
    candidate_count: Annotated[int, Field(ge=1, le=8)] = 1
    max_output_tokens: Annotated[Int32, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[Int32, Field(ge=1)] | None = None
    seed: Int32 | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    response_logprobs: bool = False
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    thinking_config: ThinkingConfig | None = None
    enable_enhanced_civic_answers: bool | None = None
    image_config: Any = None
    media_resolution: str | None = None
    speech_config: Any = None

    @property
    def wants_json(self) -> bool:
        """Whether the answer has to be JSON."""
        return self.response_mime_type == "application/json"

    @property
    def given_schema(self) -> Mapping[str, Any] | None:
        """The schema that was sent."""
        return read_schema(self.response_schema, self.response_json_schema)

    @property
    def schema_to_obey(self) -> Mapping[str, Any] | None:
        """The schema that the answer has to obey; None if it may be any text."""
        return (self.given_schema or _ANY_OBJECT) if self.wants_json else None


def check_config(config: GenerationConfig, model: ModelID) -> Problem | None:
    """Find what is wrong with a configuration that is well-formed.

    Args:
        config: The configuration.
        model: The model that is asked.

    Returns:
        The first thing that the vendor would not take.
    """
    if len(config.stop_sequences) > _MOST_STOPS:
        rule = f"at most {_MOST_STOPS} stop sequences are allowed."
        return invalid("generation_config.stop_sequences", rule)
    if config.logprobs is not None and not config.response_logprobs:
        rule = "can only be set if response_logprobs is true."
        return invalid("generation_config.logprobs", rule)
    return _check_format(config) or (
        _check_thinking(config.thinking_config, model)
        if config.thinking_config
        else None
    )


def thinking_mode(config: ThinkingConfig | None) -> Literal["off", "on", "omitted"]:
    """Find out whether to think; models that are not told to do not.

    Args:
        config: How to think.

    Returns:
        Whether to, and whether to tell.
    """
    if config is None or config.thinking_budget == 0:
        return "off"
    return "on" if config.include_thoughts else "omitted"


def _check_format(config: GenerationConfig) -> Problem | None:
    path = "generation_config.response_mime_type"
    if config.response_mime_type not in _MEDIA_TYPES:
        allowed = ", ".join(f"`{each}`" for each in _MEDIA_TYPES)
        return invalid(path, f"allowed mimetypes are {allowed}.")
    if config.response_schema is not None and config.response_json_schema is not None:
        rule = "only one of response_schema and response_json_schema may be set."
        return invalid("generation_config", rule)
    if config.given_schema is None:
        return None
    if config.response_mime_type not in ("application/json", "text/x.enum"):
        return invalid(path, "must be application/json if a schema is set.")
    if not is_schema(config.given_schema):
        return invalid("generation_config.response_schema", "schema is not valid.")
    return None


def _check_thinking(thinking: ThinkingConfig, model: ModelID) -> Problem | None:
    budget, level = thinking.thinking_budget, thinking.thinking_level
    if budget is not None and level is not None:
        message = "You can only set only one of thinking budget and thinking level."
        return Problem(400, message)
    if level is not None and not model.takes_levels:
        return Problem(400, "Thinking level is not supported for this model.")
    if level is not None and level.lower() == "minimal" and model.is_pro:
        return Problem(400, "Thinking level MINIMAL is not supported for this model.")
    if budget == 0 and model.is_pro:
        message = "Budget 0 is invalid. This model only works in thinking mode."
        return Problem(400, message)
    if budget == 0 and thinking.include_thoughts:
        message = "Include_thoughts is only enabled when thinking is enabled."
        return Problem(400, message)
    return None

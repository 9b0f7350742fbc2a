"""The bodies of ``POST /v1/responses`` and ``POST /v1/responses/input_tokens``.

Source: the OpenAI API reference, "Create a model response".
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.responses.items import Item
from llm_proxy.providers.sandbox.responses.tools import ToolChoice, ToolDefinition
from llm_proxy.providers.sandbox.strict import Strict

_LEAST_TOKENS = 16
_ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}


class _TextFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    definition: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "_TextFormat":
        for name, value in (("name", self.name), ("schema", self.definition)):
            if self.type == "json_schema" and value is None:
                raise PydanticCustomError(
                    "missing_required_parameter",
                    "Missing required parameter: 'text.format.{name}'.",
                    {"name": name},
                )
        return self


class _Text(Strict):
    format: _TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class _Reasoning(Strict):
    effort: (
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    ) = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    mode: str | None = None


class _StreamOptions(Strict):
    include_obfuscation: bool | None = None


def _as_items(value: object) -> object:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return value


class InputTokensBody(Strict):
    """What can be counted: the input, and what says how to answer it."""

    model: str = "sandbox"
    input: Annotated[list[Item], BeforeValidator(_as_items)] = Field(min_length=1)
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    truncation: Literal["auto", "disabled"] | None = None

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        """The schema that the text has to obey."""
        form = self.text.format if self.text else None
        if form is None or form.type == "text":
            return None
        return form.definition or _ANY_OBJECT

    @property
    def thinking(self) -> Literal["off", "on", "omitted"]:
        """Whether to think first, and to tell what is thought."""
        if self.reasoning is None or self.reasoning.effort == "none":
            return "off"
        return "on" if self.reasoning.summary else "omitted"


class ResponseBody(InputTokensBody):
    """A request for a response; parameters without effect may be anything."""

    model: str
    include: list[str] | None = None
    max_output_tokens: int | None = Field(None, ge=_LEAST_TOKENS)
    max_tool_calls: int | None = Field(None, ge=1)
    metadata: dict[str, str] | None = Field(None, max_length=16)
    store: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    background: bool | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20)
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    user: str | None = None
    client_metadata: Any = None
    context_management: Any = None
    moderation: Any = None
    prompt_cache_options: Any = None

    @property
    def is_stored(self) -> bool:
        """Whether the response is kept, which is usual."""
        return self.store is not False

    @property
    def is_sealed(self) -> bool:
        """Whether thoughts come with their encrypted content."""
        return "reasoning.encrypted_content" in (self.include or ())

    @property
    def alternatives(self) -> int | None:
        """How many log probabilities to report for each token; None for none at all."""
        wanted = "message.output_text.logprobs" in (self.include or ())
        return self.top_logprobs or 0 if wanted else self.top_logprobs

    @model_validator(mode="after")
    def _check(self) -> "ResponseBody":
        if self.background and not self.is_stored:
            raise PydanticCustomError(
                "invalid_value", "Background mode requires 'store' to be true."
            )
        return self

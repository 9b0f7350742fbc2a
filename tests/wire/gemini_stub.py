"""What the Gemini API accepts, as strictly as it does.

Source: the Gemini API reference and the converters of google-genai for this API.
"""

import base64
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

NO_SIGNATURE = "skip_thought_signature_validator"


def is_base64(value):
    assert value
    # The JSON form of protobuf takes both alphabets.
    base64.b64decode(value.translate(str.maketrans("-_", "+/")), validate=True)
    return value


def is_uri(value):
    assert re.match(r"https://|gs://", value)
    return value


Bytes = Annotated[str, AfterValidator(is_base64)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
MimeType = Annotated[str, Field(pattern=r"^\w+/[\w.+-]+$")]
Name = Annotated[str, Field(pattern=r"^[a-zA-Z_][\w.:-]{0,127}$")]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=to_camel, validate_by_name=False
    )


class Blob(Strict):
    mime_type: MimeType
    data: Bytes


class FileData(Strict):
    file_uri: Annotated[str, AfterValidator(is_uri)]
    mime_type: MimeType = None


class FunctionCall(Strict):
    id: str = None
    name: Name
    args: dict[str, Any] = None


class FunctionResponsePart(Strict):
    inline_data: Blob


class FunctionResponse(Strict):
    id: str = None
    name: Name
    response: dict[str, Any]
    parts: list[FunctionResponsePart] = None


class Part(Strict):
    text: str = None
    inline_data: Blob = None
    file_data: FileData = None
    function_call: FunctionCall = None
    function_response: FunctionResponse = None
    thought: bool = None
    thought_signature: Bytes = None

    @model_validator(mode="after")
    def is_one_thing(self):
        data = self.model_fields_set - {"thought", "thought_signature"}
        assert len(data) == 1, data
        # An empty text is only the carrier of a signature.
        assert self.text != "" or self.thought_signature
        return self


class Content(Strict):
    role: Literal["user", "model"]
    parts: Annotated[list[Part], Field(min_length=1)]


class SystemInstruction(Strict):
    parts: Annotated[list[Part], Field(min_length=1)]

    @model_validator(mode="after")
    def is_text(self):
        assert all(part.text for part in self.parts)
        return self


class FunctionDeclaration(Strict):
    name: Name
    description: Annotated[str, Field(min_length=1)] = None
    parameters_json_schema: dict[str, Any] = None


class Tool(Strict):
    function_declarations: Annotated[list[FunctionDeclaration], Field(min_length=1)]


class FunctionCallingConfig(Strict):
    mode: Literal["AUTO", "NONE", "ANY"]
    allowed_function_names: list[Name] = None

    @model_validator(mode="after")
    def names_fit_the_mode(self):
        assert self.allowed_function_names is None or self.mode == "ANY"
        return self


class ToolConfig(Strict):
    function_calling_config: FunctionCallingConfig


class ThinkingConfig(Strict):
    thinking_budget: Annotated[Int32, Field(ge=0, le=32768)] = None
    thinking_level: Literal["minimal", "low", "medium", "high"] = None
    include_thoughts: bool = None

    @model_validator(mode="after")
    def does_not_contradict_itself(self):
        assert self.thinking_budget is None or self.thinking_level is None
        assert not (self.include_thoughts and self.thinking_budget == 0)
        return self


class GenerationConfig(Strict):
    max_output_tokens: Annotated[Int32, Field(ge=1)] = None
    temperature: Annotated[float, Field(ge=0, le=2)] = None
    top_p: Annotated[float, Field(ge=0, le=1)] = None
    top_k: Annotated[Int32, Field(ge=1)] = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = None
    stop_sequences: Annotated[list[str], Field(min_length=1, max_length=5)] = None
    seed: Int32 = None
    response_logprobs: bool = None
    logprobs: Annotated[int, Field(ge=1, le=20)] = None
    response_mime_type: Literal["application/json"] = None
    response_json_schema: dict[str, Any] = None
    thinking_config: ThinkingConfig = None

    @model_validator(mode="after")
    def fits_together(self):
        assert self.logprobs is None or self.response_logprobs
        assert self.response_json_schema is None or self.response_mime_type
        return self


class GenerateContentRequest(Strict):
    contents: Annotated[list[Content], Field(min_length=1)]
    system_instruction: SystemInstruction = None
    tools: list[Tool] = None
    tool_config: ToolConfig = None
    generation_config: GenerationConfig = None
    service_tier: Literal["standard", "flex", "priority"] = None

    @model_validator(mode="after")
    def calls_are_answered_at_once(self):
        assert self.tool_config is None or self.tools
        calls = []
        for content in self.contents:
            results = [each.function_response for each in content.parts]
            results = [each for each in results if each]
            if content.role == "user":
                assert [(each.id, each.name) for each in results] == calls
            else:
                assert not results
            called = [each.function_call for each in content.parts]
            calls = [(each.id, each.name) for each in called if each]
            assert content.role == "model" or not calls
        return self


def check_generation_2(request):
    """Hold a request against what models before Gemini 3 cannot do."""
    config = request.generation_config or GenerationConfig()
    assert not (request.tools and config.response_mime_type)
    for content in request.contents:
        for part in content.parts:
            assert not (part.function_response and part.function_response.parts)
            assert part.thought_signature != NO_SIGNATURE


def check_generation_3(request):
    """Hold a request against what Gemini 3 demands: a signature per step of calls."""
    turn = []
    for content in request.contents:
        if content.role == "user" and any(part.text for part in content.parts):
            turn = []
        calls = [part for part in content.parts if part.function_call]
        if calls:
            turn.append(calls[0])
    assert all(call.thought_signature for call in turn)

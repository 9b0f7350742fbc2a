"""Items: what the input and the output of a response consist of."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.responses.parts import InputPart, Part
from llm_proxy.providers.sandbox.strict import Strict
from llm_proxy.providers.sandbox.thinking import sign

_MODEL_PARTS = ("output_text", "refusal")
_CallId = Annotated[str, Field(min_length=1, max_length=64)]


def _as_parts(content: object, info: ValidationInfo) -> object:
    """Take a string for its one part."""
    if not isinstance(content, str):
        return content
    type_ = "output_text" if info.data.get("role") == "assistant" else "input_text"
    return [{"type": type_, "text": content}]


class _Item(Strict):
    status: Literal["in_progress", "completed", "incomplete"] | None = None

    @property
    def text(self) -> str:
        """What was said or thought, passed to a tool or came of it."""
        return ""


class MessageItem(_Item):
    """Something that was said."""

    type: Literal["message"]
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[list[Part], BeforeValidator(_as_parts)]
    phase: Literal["commentary", "final_answer"] | None = None

    @field_validator("content")
    @classmethod
    def _check(cls, content: list[Part], info: ValidationInfo) -> list[Part]:
        role = info.data.get("role")
        for part in content:
            if (part.type in _MODEL_PARTS) != (role == "assistant"):
                raise PydanticCustomError(
                    "invalid_value",
                    "Invalid value: '{type}'. A message of the role '{role}' has no "
                    "such part.",
                    {"type": part.type, "role": role},
                )
        return content

    @property
    def text(self) -> str:
        """The text of all parts."""
        return _text_of(self.content)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What it carries besides text."""
        found = (part.attachment() for part in self.content)
        return tuple(attachment for attachment in found if attachment)


class _Call(_Item):
    id: str | None = None
    call_id: _CallId
    name: str
    namespace: str | None = None
    caller: Any = None


class _FunctionCall(_Call):
    type: Literal["function_call"]
    arguments: str

    @property
    def text(self) -> str:
        return self.arguments


class _CustomCall(_Call):
    type: Literal["custom_tool_call"]
    input: str

    @property
    def text(self) -> str:
        return self.input


class CallOutput(_Item):
    """What came of a call."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    id: str | None = None
    call_id: _CallId
    output: Annotated[list[InputPart], BeforeValidator(_as_parts)]
    name: str | None = None
    namespace: str | None = None
    caller: Any = None

    @property
    def text(self) -> str:
        """The text of the result."""
        return _text_of(self.output)


class _Summary(Strict):
    type: Literal["summary_text"]
    text: str


class _Reasoning(_Item):
    type: Literal["reasoning"]
    id: str
    summary: list[_Summary]
    content: list[Any] | None = None
    encrypted_content: str | None = None

    @field_validator("encrypted_content")
    @classmethod
    def _check(cls, sealed: str | None, info: ValidationInfo) -> str | None:
        told = "".join(part.text for part in info.data.get("summary", ()))
        if sealed is not None and sealed != sign(told):
            raise PydanticCustomError(
                "invalid_encrypted_content",
                "The encrypted content for item {id} could not be verified.",
                {"id": info.data.get("id")},
            )
        return sealed

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.summary)


def _with_type(item: object) -> object:
    """Give an item its type, which only messages may leave out."""
    if isinstance(item, Mapping) and "type" not in item:
        return {"type": "message", **item}
    return item


Item = Annotated[
    Annotated[
        MessageItem | _FunctionCall | _CustomCall | CallOutput | _Reasoning,
        Field(discriminator="type"),
    ],
    BeforeValidator(_with_type),
]


def find_unpaired(items: Sequence[Item]) -> Problem | None:
    """Find a call without a result, or a result without a call.

    Args:
        items: A whole conversation.

    Returns:
        The first one, in the vendor's words.
    """
    calls = called_tools(items)
    results = {item.call_id for item in items if isinstance(item, CallOutput)}
    for call_id in results - calls.keys():
        message = f"No tool call found for function call output with call_id {call_id}."
        return Problem(400, message, param="input")
    for call_id in calls.keys() - results:
        message = f"No tool output found for function call {call_id}."
        return Problem(400, message, param="input")
    return None


def called_tools(items: Sequence[Item]) -> dict[str, str]:
    """Find the calls of a conversation.

    Args:
        items: The conversation.

    Returns:
        The names of the tools by the ids of the calls.
    """
    calls = (item for item in items if isinstance(item, _Call))
    return {call.call_id: call.name for call in calls}


def _text_of(parts: Sequence[Part]) -> str:
    return " ".join(filter(None, (part.said() for part in parts)))

"""The contents of a conversation, as the Gemini API takes them.

Source: the Gemini API reference, "Content" and "Part".
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.gemini.json_form import Base64, JSONForm, bytes_of

_KINDS = {"image", "audio", "video"}


def _check_uri(uri: str) -> str:
    if not re.match(r"(https|gs)://[^\s/]", uri):
        raise PydanticCustomError("uri", "Invalid or unsupported file uri")
    return uri


FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")]
_MediaType = Annotated[str, Field(pattern=r"^\w+/[\w.+-]+$")]


class Blob(JSONForm):
    """Bytes."""

    mime_type: _MediaType
    data: Base64
    display_name: str | None = None


class FileData(JSONForm):
    """The address of a file."""

    file_uri: Annotated[str, AfterValidator(_check_uri)]
    mime_type: _MediaType | None = None
    display_name: str | None = None


class FunctionCall(JSONForm):
    """A call of a function."""

    name: FunctionName
    args: dict[str, Any] | None = None
    id: str | None = None


class _ResponsePart(JSONForm):
    inline_data: Blob


class FunctionResponse(JSONForm):
    """What came of a call."""

    name: FunctionName
    response: dict[str, Any]
    id: str | None = None
    parts: list[_ResponsePart] | None = None
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(JSONForm):
    """One of several things, and what is known about it."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    thought: bool | None = None
    thought_signature: Base64 | None = None
    video_metadata: dict[str, Any] | None = None
    media_resolution: dict[str, Any] | None = None
    part_metadata: dict[str, Any] | None = None

    @property
    def data(self) -> list[str]:
        """The names of the things it is; there has to be one."""
        return [name for name in _DATA if getattr(self, name) is not None]

    @property
    def said(self) -> str:
        """Its text, unless that is a thought."""
        return "" if self.thought else self.text or ""


_DATA = (
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
)


class Content(JSONForm):
    """What one side says."""

    role: Literal["user", "model"] | None = None
    parts: list[Part] = Field(default_factory=list)

    @property
    def by_model(self) -> bool:
        """Whether the model has said it."""
        return self.role == "model"

    @property
    def said(self) -> str:
        """What is said in text, and not in thoughts or results."""
        return " ".join(part.said for part in self.parts if part.said)

    @property
    def calls(self) -> list[FunctionCall]:
        """The calls in it."""
        return [part.function_call for part in self.parts if part.function_call]

    @property
    def responses(self) -> list[FunctionResponse]:
        """The results in it."""
        found = [part.function_response for part in self.parts]
        return [response for response in found if response]


def words_of(content: Content) -> str:
    """Read what a model reads in a content as words.

    Args:
        content: The content.

    Returns:
        Its text and the texts in its results.
    """
    results = (text_in(response) for response in content.responses)
    return " ".join([content.said, *results])


def text_in(response: FunctionResponse) -> str:
    """Read the texts of a result.

    Args:
        response: The result.

    Returns:
        The values of its fields.
    """
    return " ".join(map(str, response.response.values()))


def attachments_in(content: Content) -> tuple[Attachment, ...]:
    """Find what a content carries besides text.

    Args:
        content: The content.

    Returns:
        Blobs and files, those inside of results too.
    """
    carried: list[Blob | FileData | None] = []
    for part in content.parts:
        carried += [part.inline_data, part.file_data]
        if part.function_response:
            carried += [each.inline_data for each in part.function_response.parts or ()]
    return tuple(_attachment(each) for each in carried if each)


def _attachment(carried: Blob | FileData) -> Attachment:
    size = len(bytes_of(carried.data) or b"") if isinstance(carried, Blob) else None
    kind: Any = (carried.mime_type or "").partition("/")[0]
    return Attachment(kind if kind in _KINDS else "document", carried.mime_type, size)

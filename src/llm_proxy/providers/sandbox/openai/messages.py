"""The messages of a chat, as OpenAI's API takes them.

Source: the OpenAI API reference, "Create chat completion", ``messages``.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.media import decode, is_web_address, read_data_url
from llm_proxy.providers.sandbox.openai.tools import ToolName
from llm_proxy.providers.sandbox.strict import Strict

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class _Part(Strict):
    prompt_cache_breakpoint: dict[str, Any] | None = None

    def said(self) -> str:
        """The text of the part."""
        return ""

    def attachment(self) -> Attachment | None:
        """What the part is if it is not text."""
        return None


class _TextPart(_Part):
    type: Literal["text"]
    text: str

    def said(self) -> str:
        return self.text


class _RefusalPart(_Part):
    type: Literal["refusal"]
    refusal: str

    def said(self) -> str:
        return self.refusal


def _check_image(url: str) -> str:
    found = read_data_url(url)
    if found is None and not is_web_address(url):
        raise PydanticCustomError(
            "invalid_value",
            "Invalid 'image_url': expected an http(s) URL or a base64-encoded data URL "
            "with an image MIME type.",
        )
    if found is not None and found[0] not in _IMAGE_TYPES:
        raise PydanticCustomError(
            "invalid_image_format",
            "You uploaded an unsupported image. Please make sure your image has of one "
            "the following formats: ['png', 'jpeg', 'gif', 'webp'].",
        )
    if found is not None and decode(found[1]) is None:
        raise PydanticCustomError("invalid_base64", "Invalid base64 image_url.")
    return url


class _ImageURL(Strict):
    url: Annotated[str, AfterValidator(_check_image)]
    detail: Literal["auto", "low", "high", "original"] = "auto"


class _ImagePart(_Part):
    type: Literal["image_url"]
    image_url: _ImageURL

    def attachment(self) -> Attachment:
        media_type, data = read_data_url(self.image_url.url) or (None, "")
        return Attachment("image", media_type, len(decode(data) or b"") or None)


def _check_base64(data: str) -> str:
    if decode(data) is None:
        raise PydanticCustomError("invalid_value", "Invalid base64 data.")
    return data


class _InputAudio(Strict):
    data: Annotated[str, AfterValidator(_check_base64)]
    format: Literal["wav", "mp3"]


class _AudioPart(_Part):
    type: Literal["input_audio"]
    input_audio: _InputAudio

    def attachment(self) -> Attachment:
        audio = self.input_audio
        size = len(decode(audio.data) or b"")
        return Attachment("audio", _AUDIO_TYPES[audio.format], size)


def _check_file(url: str) -> str:
    found = read_data_url(url)
    if found is None or decode(found[1]) is None:
        raise PydanticCustomError(
            "invalid_value", "Expected a base64-encoded data URL with the file."
        )
    return url


class _FileSource(Strict):
    file_data: Annotated[str, AfterValidator(_check_file)] | None = None
    file_id: str | None = None
    filename: str | None = None


class _FilePart(_Part):
    type: Literal["file"]
    file: _FileSource

    def attachment(self) -> Attachment:
        media_type, data = read_data_url(self.file.file_data or "") or (None, "")
        return Attachment("document", media_type, len(decode(data) or b"") or None)


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content


_UserPart = Annotated[
    _TextPart | _ImagePart | _AudioPart | _FilePart, Field(discriminator="type")
]
_AssistantPart = Annotated[_TextPart | _RefusalPart, Field(discriminator="type")]
_OnlyTextPart = Annotated[_TextPart, Field()]
_Text = Annotated[list[_OnlyTextPart], BeforeValidator(_as_parts)]


class _Function(Strict):
    name: ToolName
    arguments: str


class _FunctionCall(Strict):
    id: str = Field(max_length=40)
    type: Literal["function"]
    function: _Function

    @property
    def tool(self) -> str:
        return self.function.name


class _Custom(Strict):
    name: ToolName
    input: str


class _CustomCall(Strict):
    id: str = Field(max_length=40)
    type: Literal["custom"]
    custom: _Custom

    @property
    def tool(self) -> str:
        return self.custom.name


class _InstructionMessage(Strict):
    role: Literal["system", "developer"]
    content: _Text
    name: str | None = None


class _UserMessage(Strict):
    role: Literal["user"]
    content: Annotated[list[_UserPart], BeforeValidator(_as_parts)]
    name: str | None = None


class AssistantMessage(Strict):
    """An earlier answer; its fields are those that the vendor's answers have."""

    role: Literal["assistant"]
    content: Annotated[list[_AssistantPart] | None, BeforeValidator(_as_parts)] = None
    name: str | None = None
    refusal: str | None = None
    audio: dict[str, Any] | None = None
    annotations: list[Any] | None = None
    function_call: _Function | None = None
    tool_calls: (
        Annotated[
            list[Annotated[_FunctionCall | _CustomCall, Field(discriminator="type")]],
            Field(min_length=1),
        ]
        | None
    ) = None


class ToolMessage(Strict):
    """The result of a call."""

    role: Literal["tool"]
    content: _Text
    tool_call_id: str


class _FunctionMessage(Strict):
    role: Literal["function"]
    content: Annotated[list[_OnlyTextPart] | None, BeforeValidator(_as_parts)]
    name: str


Message = Annotated[
    _InstructionMessage
    | _UserMessage
    | AssistantMessage
    | ToolMessage
    | _FunctionMessage,
    Field(discriminator="role"),
]


def text_of(message: Message) -> str:
    """Read the text of a message.

    Args:
        message: The message.

    Returns:
        The text of all its parts.
    """
    return " ".join(filter(None, (part.said() for part in message.content or ())))


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """Find what a message carries besides text.

    Args:
        message: The message.

    Returns:
        Images, audio and files, in order.
    """
    found = (part.attachment() for part in message.content or ())
    return tuple(attachment for attachment in found if attachment)

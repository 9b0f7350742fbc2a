"""Parts: what the content of a message in a response consists of."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.media import decode, is_web_address, read_data_url
from llm_proxy.providers.sandbox.strict import Strict


def _check_data_url(url: str) -> str:
    found = read_data_url(url)
    if found is None or decode(found[1]) is None:
        raise PydanticCustomError(
            "invalid_value", "Expected a base64-encoded data URL with a media type."
        )
    return url


def _check_url(url: str) -> str:
    return url if is_web_address(url) else _check_data_url(url)


def _attachment(kind: Literal["image", "document"], url: str | None) -> Attachment:
    media_type, data = read_data_url(url or "") or (None, "")
    return Attachment(kind, media_type, len(decode(data) or b"") or None)


class _Part(Strict):
    prompt_cache_breakpoint: dict[str, Any] | None = None

    def said(self) -> str:
        """The text of the part."""
        return ""

    def attachment(self) -> Attachment | None:
        """What the part is if it is not text."""
        return None


class _InputText(_Part):
    type: Literal["input_text"]
    text: str

    def said(self) -> str:
        return self.text


class _OutputText(_Part):
    type: Literal["output_text"]
    text: str
    annotations: list[Any] = Field(default_factory=list)
    logprobs: list[Any] | None = None

    def said(self) -> str:
        return self.text


class _Refusal(_Part):
    type: Literal["refusal"]
    refusal: str

    def said(self) -> str:
        return self.refusal


class _InputImage(_Part):
    type: Literal["input_image"]
    image_url: Annotated[str, AfterValidator(_check_url)] | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None

    def attachment(self) -> Attachment:
        return _attachment("image", self.image_url)


class _InputFile(_Part):
    type: Literal["input_file"]
    file_data: Annotated[str, AfterValidator(_check_data_url)] | None = None
    file_url: Annotated[str, AfterValidator(_check_url)] | None = None
    file_id: str | None = None
    filename: str | None = None
    detail: Literal["auto", "low", "high"] | None = None

    def attachment(self) -> Attachment:
        return _attachment("document", self.file_data)


InputPart = Annotated[
    _InputText | _InputImage | _InputFile, Field(discriminator="type")
]
Part = Annotated[
    _InputText | _InputImage | _InputFile | _OutputText | _Refusal,
    Field(discriminator="type"),
]

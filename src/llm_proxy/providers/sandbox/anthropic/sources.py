"""Where the bytes of an image or a document come from.

Source: the Anthropic API reference, "Create a message", ``messages``.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.media import decode, is_web_address
from llm_proxy.providers.sandbox.strict import Strict


def _check_base64(data: str) -> str:
    if decode(data) is None:
        raise PydanticCustomError("base64", "invalid base64 data")
    return data


def _check_url(url: str) -> str:
    if not is_web_address(url):
        raise PydanticCustomError("url", "Only HTTP(S) URLs are supported.")
    return url


_Base64 = Annotated[str, AfterValidator(_check_base64)]
_URL = Annotated[str, AfterValidator(_check_url)]


class _ImageData(Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: _Base64


class _Address(Strict):
    type: Literal["url"]
    url: _URL


class _Uploaded(Strict):
    type: Literal["file"]
    file_id: str


class _PDFData(Strict):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: _Base64


class PlainText(Strict):
    """A document that is text."""

    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class _Content(Strict):
    type: Literal["content"]
    content: Any


ImageSource = Annotated[_ImageData | _Address | _Uploaded, Field(discriminator="type")]
DocumentSource = Annotated[
    _PDFData | PlainText | _Content | _Address | _Uploaded,
    Field(discriminator="type"),
]


def image_from(source: ImageSource) -> Attachment:
    """Describe an image.

    Args:
        source: Where it comes from.

    Returns:
        What is known of it.
    """
    if isinstance(source, _ImageData):
        return Attachment("image", source.media_type, len(decode(source.data) or b""))
    return Attachment("image", None, None)


def document_from(source: DocumentSource) -> Attachment:
    """Describe a document.

    Args:
        source: Where it comes from.

    Returns:
        What is known of it.
    """
    if isinstance(source, _PDFData):
        size = len(decode(source.data) or b"")
        return Attachment("document", source.media_type, size)
    if isinstance(source, PlainText):
        return Attachment("document", source.media_type, len(source.data.encode()))
    return Attachment("document", None, None)

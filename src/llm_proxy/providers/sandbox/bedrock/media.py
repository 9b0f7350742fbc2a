"""Images, documents, sounds and films, as Converse takes them.

Source: the Amazon Bedrock API reference, "ImageBlock", "DocumentBlock", "AudioBlock"
and "VideoBlock".
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.bedrock.structure import Blob, OneOf, Structure
from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.media import decode

_MEDIA_TYPES = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
}


class _S3Location(Structure):
    uri: Annotated[
        str, Field(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$")
    ]
    bucket_owner: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None


class _Source(OneOf):
    bytes: Blob | None = None
    s3_location: _S3Location | None = None


class _TextContent(OneOf):
    text: str


class _DocumentSource(OneOf):
    bytes: Blob | None = None
    s3_location: _S3Location | None = None
    text: str | None = None
    content: list[_TextContent] | None = None


class Image(Structure):
    """An image."""

    format: Literal["png", "jpeg", "gif", "webp"]
    source: _Source


class Document(Structure):
    """A document; its name must hold nothing that a model could take for an order."""

    name: Annotated[
        str,
        Field(max_length=200, pattern=r"^[a-zA-Z0-9()\[\]-]+( [a-zA-Z0-9()\[\]-]+)*$"),
    ]
    source: _DocumentSource
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] = (
        "txt"
    )
    context: str | None = None
    citations: dict[str, Any] | None = None


class Audio(Structure):
    """A sound."""

    format: Literal[
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a",
        "mpeg", "mpga", "pcm", "webm"
    ]  # fmt: skip
    source: _Source


class Video(Structure):
    """A film."""

    format: Literal[
        "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"
    ]
    source: _Source


Medium = Image | Document | Audio | Video


def attachment_from(medium: Medium) -> Attachment:
    """Describe a medium.

    Args:
        medium: Any of them.

    Returns:
        What is known of it.
    """
    data, format_ = medium.source.bytes, medium.format
    size = None if data is None else len(decode(data) or b"")
    if isinstance(medium, Document):
        media_type = _MEDIA_TYPES.get(format_, f"application/{format_}")
        return Attachment("document", media_type, size)
    kind: Literal["image", "audio", "video"] = "image"
    if isinstance(medium, Audio | Video):
        kind = "audio" if isinstance(medium, Audio) else "video"
    return Attachment(kind, f"{kind}/{format_}", size)

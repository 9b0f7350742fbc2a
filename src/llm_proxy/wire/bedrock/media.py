"""Writes images, documents and sounds for Converse."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import Media

_FORMATS: Mapping[str, Mapping[str, str]] = {
    "image": {
        "image/png": "png",
        "image/jpeg": "jpeg",
        "image/jpg": "jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
    },
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument"
        ".wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/mp4": "mp4",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/webm": "webm",
    },
}
_EXTENSIONS: Mapping[str, str] = {
    "jpg": "jpeg",
    "htm": "html",
    **{name: name for formats in _FORMATS.values() for name in formats.values()},
}
# A document's name may hold letters, digits, single spaces, hyphens and brackets.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\] -]+")
_SPACES = re.compile(r"\s+")
_MAX_NAME = 180


class MediaWriter:
    """Writes the media of one request, in which no two documents have the same name."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def write(self, media: Media, field: str) -> dict[str, Any]:
        """Write one block.

        Args:
            media: What to write.
            field: Where it stands in the request.

        Returns:
            A content block.

        Raises:
            UnsupportedFeatureError: Converse cannot take it.
        """
        block: dict[str, Any] = {
            "format": _read_format(media, field),
            "source": _write_source(media, field),
        }
        if media.kind == "document":
            block["name"] = self._unique(clean_name(media.name))
        return {media.kind: block}

    def _unique(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name} {number}"
        self._names.add(unique)
        return unique


def clean_name(name: str) -> str:
    """Make a name that Converse accepts.

    Args:
        name: A file's name or title.

    Returns:
        The name without what it must not hold.
    """
    spaced = _SPACES.sub(" ", _NOT_IN_NAMES.sub(" ", name))
    return spaced[:_MAX_NAME].strip() or "document"


def _write_source(media: Media, field: str) -> dict[str, Any]:
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    if media.url:
        _refuse(field, f"{media.kind} by URL", "send the bytes, or an s3:// URL")
    _refuse(field, f"uploaded {media.kind}", "send the bytes")


def _read_format(media: Media, field: str) -> str:
    formats = _FORMATS[media.kind]
    known = formats.get(media.media_type.lower().partition(";")[0].strip())
    if known is None:
        extension = (media.url or media.name).rpartition(".")[2].lower()
        known = _EXTENSIONS.get(extension)
    if known not in formats.values():
        _refuse(field, f"{media.kind} of this type", f"it takes {_listed(formats)}")
    return str(known)


def _listed(formats: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(formats.values()))


def _refuse(field: str, what: str, instead: str) -> NoReturn:
    raise UnsupportedFeatureError(
        f"Bedrock's Converse API takes no {what}",
        details=[{"field": field, "problem": instead}],
    )

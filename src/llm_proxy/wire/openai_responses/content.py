"""Content parts of messages and of tools' results: texts, images and files.

Source: the OpenAI API reference, "Responses", ``input[].content``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import Media, Part, Text
from llm_proxy.wire.openai_chat.fields import (
    take_object,
    take_optional_text,
    take_text,
    unsupported,
    wrong,
)

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[^,;]+)*;base64,", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")


def read_content(value: object, field: str) -> tuple[Text | Media, ...]:
    """Read the content of a message or of a tool's result.

    Args:
        value: A string, or an array of typed parts.
        field: Where it stood.

    Returns:
        Texts and media; nothing for an empty string.

    Raises:
        InvalidInputError: It is something else.
        UnsupportedFeatureError: A part has a type that nobody here knows.
    """
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list):
        raise wrong(field, "must be a string or an array of content parts")
    return tuple(
        [
            _read_part(take_object(part, f"{field}.{index}"), f"{field}.{index}")
            for index, part in enumerate(value)
        ]
    )


def name_type(value: object, field: str) -> str:
    """Read a type that may be shown in an error.

    Args:
        value: What stood there.
        field: Where it stood.

    Returns:
        The type, or "unknown" if it is no plain word: a prompt must not get out.

    Raises:
        InvalidInputError: It is no string.
    """
    kind = take_text(value, field)
    return kind if _WORD.fullmatch(kind) else "unknown"


def _read_part(part: dict[str, Any], field: str) -> Text | Media:
    kind = name_type(part.get("type"), f"{field}.type")
    reader = _READERS.get(kind)
    if reader is None:
        raise unsupported(f"{field}.type", f"content parts of type {kind}")
    return reader(part, field)


def _read_text(part: dict[str, Any], field: str) -> Text:
    return Text(take_text(part.get("text"), f"{field}.text"))


def _read_refusal(part: dict[str, Any], field: str) -> Text:
    return Text(take_text(part.get("refusal"), f"{field}.refusal"))


def _read_image(part: dict[str, Any], field: str) -> Media:
    detail = take_optional_text(part.get("detail"), f"{field}.detail")
    detail = "" if detail == "auto" else detail
    file_id = take_optional_text(part.get("file_id"), f"{field}.file_id")
    if file_id:
        return Media("image", file_id=file_id, detail=detail)
    url = take_text(part.get("image_url"), f"{field}.image_url")
    media_type, data = _split_data_url(url)
    if data:
        return Media("image", media_type, data, detail=detail)
    return Media("image", url=url, detail=detail)


def _read_file(part: dict[str, Any], field: str) -> Media:
    name = take_optional_text(part.get("filename"), f"{field}.filename")
    file_id = take_optional_text(part.get("file_id"), f"{field}.file_id")
    url = take_optional_text(part.get("file_url"), f"{field}.file_url")
    if file_id or url:
        return Media("document", url=url, file_id=file_id, name=name)
    written = take_text(part.get("file_data"), f"{field}.file_data")
    media_type, data = _split_data_url(written)
    return Media("document", media_type, data or written, name=name)


def _read_audio(part: dict[str, Any], field: str) -> Media:
    field = f"{field}.input_audio"
    audio = take_object(part.get("input_audio"), field)
    form = take_text(audio.get("format"), f"{field}.format")
    media_type = "audio/mpeg" if form == "mp3" else f"audio/{form}"
    return Media("audio", media_type, take_text(audio.get("data"), f"{field}.data"))


_READERS: Mapping[str, Callable[[dict[str, Any], str], Text | Media]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


def _split_data_url(url: str) -> tuple[str, str]:
    """Split into media type and base64; both are empty if it is no such URL."""
    inline = _DATA_URL.match(url)
    return (inline[1] or "", url[inline.end() :]) if inline else ("", "")


def write_content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Write what a user or a tool says.

    Args:
        parts: Texts and media.

    Returns:
        A string if there is one text or nothing at all, else an array.

    Raises:
        UnsupportedFeatureError: The dialect has no words for a part.
    """
    if not parts:
        return ""
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text):
        return first.text
    return [_write_part(part) for part in parts]


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Media(kind="image"):
            return _write_image(part)
        case Media(kind="document"):
            return _write_file(part)
        case _:
            raise cannot_say("sounds" if isinstance(part, Media) else "these parts")


def _write_image(image: Media) -> dict[str, Any]:
    written = {"type": "input_image", "detail": image.detail or "auto"}
    if image.file_id:
        written["file_id"] = image.file_id
    else:
        data_url = f"data:{image.media_type};base64,{image.data}"
        written["image_url"] = image.url or data_url
    return written


def _write_file(document: Media) -> dict[str, Any]:
    written = {"type": "input_file"}
    if document.name:
        written["filename"] = document.name
    if document.file_id:
        written["file_id"] = document.file_id
    elif document.url:
        written["file_url"] = document.url
    else:
        media_type = document.media_type or "application/pdf"
        written["file_data"] = f"data:{media_type};base64,{document.data}"
        # The API demands a name and tells the kind of the file by it.
        written.setdefault("filename", _file_name(media_type))
    return written


def _file_name(media_type: str) -> str:
    return "document.txt" if media_type == "text/plain" else "document.pdf"


def cannot_say(feature: str) -> UnsupportedFeatureError:
    """Make the error for what the dialect has no words for.

    Args:
        feature: What it is, in the plural.

    Returns:
        The error.
    """
    return UnsupportedFeatureError(
        f"The model's provider cannot take {feature}: OpenAI's Responses API has no "
        "way to say it",
        details=[{"field": "messages", "problem": f"has {feature}"}],
    )

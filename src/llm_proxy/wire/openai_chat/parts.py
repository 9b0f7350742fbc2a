"""Content parts: texts, images, files and sounds, read from callers and written.

Source: the OpenAI API reference, "Chat completions", ``messages[].content``.
``cache_control`` is Anthropic's, and OpenRouter's and others' in this dialect.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import CacheTTL, Media, Text
from llm_proxy.wire.openai_chat.fields import (
    take_object,
    take_one_of,
    take_optional_text,
    take_text,
    unsupported,
    wrong,
)

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[^,;]+)*;base64,", re.ASCII)
_AUDIO_FORMATS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
_FILE_NAMES: Mapping[str, str] = {"text/plain": "document.txt"}
_TTLS: tuple[CacheTTL, CacheTTL] = ("5m", "1h")

Content = tuple[Text | Media, ...]


def read_content(value: object, field: str) -> Content:
    """Read the content of a caller's message.

    Args:
        value: A string, null, or an array of typed parts.
        field: Where it stood.

    Returns:
        Texts and media; nothing for an empty string.

    Raises:
        InvalidInputError: A part is not what it says to be.
        UnsupportedFeatureError: A part has a type that nobody here knows.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise wrong(field, "must be a string or an array of content parts")
    return tuple(
        [
            _read_part(take_object(part, f"{field}.{index}"), f"{field}.{index}")
            for index, part in enumerate(value)
        ]
    )


def read_cache(holder: Mapping[str, Any], field: str) -> CacheTTL | None:
    """Read the mark that the prompt up to here should be cached.

    Args:
        holder: What may have ``cache_control``.
        field: Where it stood.

    Returns:
        How long to keep it; None without a mark.

    Raises:
        InvalidInputError: The mark is none.
    """
    mark = holder.get("cache_control")
    if mark is None:
        return None
    field = f"{field}.cache_control"
    ttl = take_object(mark, field).get("ttl")
    if ttl is None:
        return "5m"
    take_one_of(ttl, f"{field}.ttl", _TTLS)
    return "1h" if ttl == "1h" else "5m"


def _read_part(part: dict[str, Any], field: str) -> Text | Media:
    kind = take_text(part.get("type"), f"{field}.type")
    reader = _READERS.get(kind)
    if reader is None:
        name = kind if kind.isidentifier() and len(kind) < 40 else "unknown"
        raise unsupported(f"{field}.type", f"content parts of type {name!r}")
    return reader(part, field)


def _read_text(part: dict[str, Any], field: str) -> Text:
    return Text(take_text(part.get("text"), f"{field}.text"), read_cache(part, field))


def _read_refusal(part: dict[str, Any], field: str) -> Text:
    return Text(take_text(part.get("refusal"), f"{field}.refusal"))


def _read_image(part: dict[str, Any], field: str) -> Media:
    cache = read_cache(part, field)
    field = f"{field}.image_url"
    image = part.get("image_url")
    if isinstance(image, str):
        # Not in the reference, and sent by many.
        image = {"url": image}
    image = take_object(image, field)
    url = take_text(image.get("url"), f"{field}.url")
    detail = take_optional_text(image.get("detail"), f"{field}.detail")
    inline = _DATA_URL.match(url)
    if inline is None:
        return Media("image", url=url, detail=detail, cache=cache)
    data = url[inline.end() :]
    return Media("image", inline[1] or "", data, detail=detail, cache=cache)


def _read_file(part: dict[str, Any], field: str) -> Media:
    cache = read_cache(part, field)
    field = f"{field}.file"
    file = take_object(part.get("file"), field)
    name = take_optional_text(file.get("filename"), f"{field}.filename")
    file_id = take_optional_text(file.get("file_id"), f"{field}.file_id")
    if file_id:
        return Media("document", file_id=file_id, name=name, cache=cache)
    data = take_text(file.get("file_data"), f"{field}.file_data")
    inline = _DATA_URL.match(data)
    if inline is None:
        return Media("document", data=data, name=name, cache=cache)
    return Media(
        "document", inline[1] or "", data[inline.end() :], name=name, cache=cache
    )


def _read_audio(part: dict[str, Any], field: str) -> Media:
    cache = read_cache(part, field)
    field = f"{field}.input_audio"
    audio = take_object(part.get("input_audio"), field)
    data = take_text(audio.get("data"), f"{field}.data")
    form = take_text(audio.get("format"), f"{field}.format")
    media_type = "audio/mpeg" if form == "mp3" else f"audio/{form}"
    return Media("audio", media_type, data, cache=cache)


_READERS: Mapping[str, Callable[[dict[str, Any], str], Text | Media]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "file": _read_file,
    "input_audio": _read_audio,
}


def write_content(
    parts: Sequence[Text | Media], *, cache: bool, lists: bool
) -> str | list[dict[str, Any]]:
    """Write the content of a message.

    Args:
        parts: Texts and media.
        cache: Whether to write cache marks.
        lists: Whether texts alone may be written as a list.

    Returns:
        A string if there is one plain text or none at all, else an array.

    Raises:
        UnsupportedFeatureError: The dialect has no words for a part.
    """
    if not parts:
        return ""
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and not (cache and first.cache):
        return first.text
    if not lists:
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) == len(parts):
            return "\n".join(texts)
    return [_write_part(part, cache) for part in parts]


def _write_part(part: Text | Media, cache: bool) -> dict[str, Any]:
    written: dict[str, Any]
    if isinstance(part, Text):
        written = {"type": "text", "text": part.text}
    else:
        written = _MEDIA_WRITERS[part.kind](part)
    if cache and part.cache:
        written["cache_control"] = write_cache(part.cache)
    return written


def write_cache(ttl: CacheTTL) -> dict[str, str]:
    """Write the mark that the prompt up to here should be cached.

    Args:
        ttl: How long to keep it.

    Returns:
        The value of ``cache_control``.
    """
    if ttl == "5m":
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": ttl}


def _write_image(image: Media) -> dict[str, Any]:
    if image.file_id:
        raise _cannot_say("images by file id")
    url = image.url or f"data:{image.media_type};base64,{image.data}"
    inner = {"url": url, "detail": image.detail} if image.detail else {"url": url}
    return {"type": "image_url", "image_url": inner}


def _write_document(document: Media) -> dict[str, Any]:
    if document.url:
        raise _cannot_say("documents by URL")
    if document.file_id:
        file = {"file_id": document.file_id}
        if document.name:
            file["filename"] = document.name
    else:
        media_type = document.media_type or "application/pdf"
        file = {
            "file_data": f"data:{media_type};base64,{document.data}",
            "filename": document.name or _FILE_NAMES.get(media_type, "document.pdf"),
        }
    return {"type": "file", "file": file}


def _write_audio(audio: Media) -> dict[str, Any]:
    if not audio.data:
        raise _cannot_say("sounds by URL or file id")
    kind = audio.media_type.removeprefix("audio/")
    form = _AUDIO_FORMATS.get(audio.media_type, kind)
    return {"type": "input_audio", "input_audio": {"data": audio.data, "format": form}}


_MEDIA_WRITERS: Mapping[str, Callable[[Media], dict[str, Any]]] = {
    "image": _write_image,
    "document": _write_document,
    "audio": _write_audio,
}


def _cannot_say(feature: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"The model's provider, which speaks openai_chat, does not support {feature}",
        details=[{"field": "messages", "problem": f"has {feature}"}],
    )

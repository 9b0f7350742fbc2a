"""What a message carries besides text: encoded bytes, or the address of some."""

import base64
import binascii
import re

from llm_proxy.providers.sandbox.conversation import Attachment

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,(.*)", re.DOTALL)


def decode(data: str) -> bytes | None:
    """Decode base64 (RFC 4648, section 4).

    Args:
        data: The text.

    Returns:
        The bytes; None if there are none, or it is not base64.
    """
    try:
        return base64.b64decode(data, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def is_web_address(url: str) -> bool:
    """Find out whether a vendor would fetch from an address.

    Args:
        url: Any text.

    Returns:
        Whether it is an address of the web.
    """
    return re.fullmatch(r"https?://[^\s/]+\S*", url) is not None


def read_data_url(url: str) -> tuple[str, str] | None:
    """Take a ``data:`` URL (RFC 2397) apart.

    Args:
        url: Any text.

    Returns:
        The media type and what stands for base64; None if it is no such URL.
    """
    found = _DATA_URL.fullmatch(url)
    return (found[1], found[2]) if found else None


def describe(attachments: tuple[Attachment, ...]) -> str:
    """Say how many attachments of each kind there are, and of which media types.

    Args:
        attachments: What a message carries.

    Returns:
        Such as ``2 images (image/png, image/jpeg) and 1 document (application/pdf)``.
    """
    kinds = dict.fromkeys(attachment.kind for attachment in attachments)
    return " and ".join(
        _describe_kind(kind, [each for each in attachments if each.kind == kind])
        for kind in kinds
    )


def _describe_kind(kind: str, attachments: list[Attachment]) -> str:
    types = dict.fromkeys(each.media_type or "unknown type" for each in attachments)
    plural = "s" if len(attachments) > 1 else ""
    return f"{len(attachments)} {kind}{plural} ({', '.join(types)})"

"""JSON objects as the Gemini API takes them.

Source: the ProtoJSON format: names in either case, ``null`` for what is not there, and
either alphabet of base64.
"""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.media import decode

_STANDARD = str.maketrans("-_", "+/")


class JSONForm(BaseModel):
    """A JSON object of a request, with the fields that the vendor knows."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
    )


def bytes_of(text: str) -> bytes | None:
    """Decode base64 of either alphabet (RFC 4648, sections 4 and 5).

    Args:
        text: Base64, with or without padding.

    Returns:
        The bytes; None if there are none, or it is not base64.
    """
    padding = "=" * (-len(text) % 4)
    return decode(text.translate(_STANDARD) + padding)


def _check_base64(text: str) -> str:
    if bytes_of(text) is None:
        raise PydanticCustomError("bytes", "Base64 decoding failed")
    return text


Base64: TypeAlias = Annotated[str, AfterValidator(_check_base64)]
Int32: TypeAlias = Annotated[int, Field(ge=-(2**31), lt=2**31)]

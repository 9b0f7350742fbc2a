"""Forms with files, in which one field is found and changed and no other byte.

The format is that of RFC 7578 over RFC 2046, 5.1.1. It is read strictly: a body on
which parsers are known to disagree is refused, or an upstream might find another model
in it than we did.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from llm_proxy.errors import InvalidInputError, UnsupportedMediaTypeError

_MEDIA_TYPE = b"multipart/form-data"
# OpenAI's largest form has some thirty.
_MAX_PARTS = 256
_MAX_HEAD_BYTES = 8192

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Browsers write a quote as %22, others as \", and to some \ is a letter: a backslash
# before a quote would be read as two different things.
_QUOTED = rb'"((?:[^"\\]|\\(?!"))*+)"'
_PARAMETER = re.compile(
    rb"[ \t]*;[ \t]*(%b)=(?:(%b)|%b)[ \t]*" % (_TOKEN, _TOKEN, _QUOTED)
)
_HEADER = re.compile(rb"(%b):[ \t]*([^\x00-\x08\n-\x1f\x7f]*)" % _TOKEN)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN = (b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class Form:
    """A form that says which model it is for.

    Attributes:
        body: The bytes of the form.
        model_place: Where in them the model's name stands.
    """

    body: bytes
    model_place: slice

    @property
    def model(self) -> str:
        """The name, as it came."""
        return self.body[self.model_place].decode()

    def with_model(self, model: str) -> bytes:
        """Put another name in the model's place.

        Args:
            model: The name; it has no line ends.

        Returns:
            The form, otherwise unchanged.
        """
        place = self.model_place
        return b"".join(
            (self.body[: place.start], model.encode(), self.body[place.stop :])
        )


class _Part(NamedTuple):
    headers: dict[bytes, bytes]
    place: slice


def read_form(content_type: str, body: bytes) -> Form:
    """Find the model's name in a form.

    Args:
        content_type: The header of this name.
        body: The form.

    Returns:
        The form.

    Raises:
        UnsupportedMediaTypeError: It is not declared as a form.
        InvalidInputError: It is broken, or does not name one model.
    """
    boundary = _read_boundary(content_type.encode("latin-1"))
    places = []
    for part in _parts(body, boundary):
        parameters = _read_disposition(part.headers.get(b"content-disposition", b""))
        if parameters[b"name"] == b"model":
            encoding = part.headers.get(b"content-transfer-encoding", b"binary")
            if b"filename" in parameters or encoding.lower() not in _PLAIN:
                raise _invalid("model", "must be plain text")
            places.append(part.place)
    if len(places) > 1:
        raise _invalid("model", "must be there once")
    if not places or not body[places[0]].strip():
        raise _invalid("model", "Field required")
    try:
        body[places[0]].decode()
    except UnicodeDecodeError:
        raise _invalid("model", "must be UTF-8") from None
    return Form(body, places[0])


def _read_boundary(content_type: bytes) -> bytes:
    essence, _, _ = content_type.partition(b";")
    if essence.strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaTypeError(
            "Send the body as multipart/form-data, without compression"
        )
    parameters = _read_parameters(content_type[len(essence) :])
    boundary = parameters.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise _invalid("body", "the content type needs a valid boundary")
    return boundary


def _parts(body: bytes, boundary: bytes) -> Iterator[_Part]:
    opening = b"--" + boundary
    if not body.startswith(opening):
        raise _invalid("body", "must begin with the boundary")
    at = len(opening)
    count = 0
    while body.startswith(b"\r\n", at):
        count += 1
        if count > _MAX_PARTS:
            raise _invalid("body", "has too many parts")
        end = body.find(b"\r\n" + opening, at)
        start = body.find(b"\r\n\r\n", at + 2, min(end, at + _MAX_HEAD_BYTES)) + 4
        if end < 0 or start < 4:
            raise _invalid("body", "a part is not complete")
        yield _Part(_read_headers(body[at + 2 : start - 4]), slice(start, end))
        at = end + 2 + len(opening)
    if body[at:] not in (b"--", b"--\r\n"):
        raise _invalid("body", "must end with the boundary")


def _read_headers(head: bytes) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in headers:
            raise _invalid("body", "the head of a part is not valid")
        headers[header[1].lower()] = header[2].rstrip()
    return headers


def _read_disposition(value: bytes) -> dict[bytes, bytes]:
    essence, _, _ = value.partition(b";")
    parameters = _read_parameters(value[len(essence) :])
    # RFC 7578, 4.2 has no other way to spell a name than `name`.
    spellings = [key for key in parameters if key == b"name" or key[:5] == b"name*"]
    name = parameters.get(b"name", b"")
    if (
        essence.strip().lower() != b"form-data"
        or spellings != [b"name"]
        or b"\\" in name
    ):
        raise _invalid("body", "a part has no valid name")
    return parameters


def _read_parameters(text: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None or parameter[1].lower() in parameters:
            raise _invalid("body", "a header of the form is not valid")
        value = parameter[2] if parameter[2] is not None else parameter[3]
        parameters[parameter[1].lower()] = value
        at = parameter.end()
    return parameters


def _invalid(field: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        f"The request is not valid: {field}",
        details=[{"field": field, "problem": problem}],
    )
